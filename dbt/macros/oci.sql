{# Pieces of the OCI cost report under FOCUS: flags, names, units, tags. Mapping: docs of stg_oci_cost__focus. #}

{# Flags come as true/false and as Y/N. #}
{% macro oci_flag(column) -%}
    coalesce(lower({{ column }}) in ('true', 'y', 'yes', '1'), false)
{%- endmacro %}

{# Oracle's documents: a correction has the flag and names the line that it corrects; either alone says nothing (backreferenceNo is
   filled on ordinary lines of real reports). #}
{% macro oci_is_correction() -%}
    ({{ oci_flag('line_item_is_correction') }} and coalesce(line_item_backreference_no, '') <> '')
{%- endmacro %}

{# `1 GiB MONTHS STORAGE_SIZE`: amount, size, time, measure; older reports write ONE for 1. Part `number` of it, upper case but for sizes. #}
{% macro oci_unit_part(number) -%}
    nullif(split_part(cost_billing_unit_readable, ' ', {{ number }}), '')
{%- endmacro %}

{# How many of the measure one billed unit holds: the monitoring service bills millions of data points. #}
{% macro oci_unit_amount() -%}
    case
        when upper({{ oci_unit_part(1) }}) = 'ONE' then cast(1 as bigint)
        else try_cast({{ oci_unit_part(1) }} as bigint)
    end
{%- endmacro %}

{# The unit of consumption: GiB-Months, OCPU-Hours, Data Points. Transferred bytes are no bytes held for a time, whatever the text says.
   Needs the columns unit_size, unit_time, unit_measure and the row of oci_units as known_unit. NULL where a part is not known. #}
{% macro oci_unit() -%}
    {%- set time -%}
    case rtrim(upper(unit_time), 'S')
        when 'HOUR' then 'Hours' when 'MONTH' then 'Months' when 'DAY' then 'Days'
        when 'MINUTE' then 'Minutes' when 'SECOND' then 'Seconds' when 'YEAR' then 'Years'
    end
    {%- endset -%}
    case
        when unit_size in ('KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'KB', 'MB', 'GB', 'TB', 'PB')
            then case
                when upper(unit_time) = 'NONE' or unit_measure = 'DATA_TRANSFERRED' then unit_size
                else unit_size || '-' || ({{ time }})
            end
        when unit_size is distinct from 'NONE' then null
        when upper(unit_time) = 'NONE' then known_unit.unit
        else known_unit.unit_per_time || '-' || ({{ time }})
    end
{%- endmacro %}

{# The machine: a shape where the description names one (BM.GPU.H100.8), else the accelerator as the price list writes it (GPU - H100). #}
{% macro oci_instance_type(description) -%}
    coalesce(
        nullif(regexp_extract({{ description }}, '\b((?:BM|VM)\.[A-Za-z0-9]+(?:\.[A-Za-z0-9]+)*)', 1), ''),
        nullif(regexp_extract({{ description }}, '\b(GPU\s*[-–.]?\s*[A-Z]{1,3}[0-9]{1,4}[A-Z]?(?:\s*-\s*v[0-9]+)?)\b', 1), '')
    )
{%- endmacro %}

{# The first of the owner tags that a row has. A defined tag is `namespace.key`: the key counts, in whatever case and with or without
   hyphens and underscores (Finance.CostCenter is cost_center). #}
{% macro oci_owner_tag(tags, names) -%}
    {%- set word = "lower(replace(replace(regexp_extract(entry.key, '[^.]*$'), '-', ''), '_', ''))" -%}
    coalesce(
        {%- for name in names %}
        list_filter(map_entries({{ tags }}), lambda entry: {{ word }} = '{{ name | replace('_', '') | lower }}')[1].value,
        {%- endfor %}
        null
    )
{%- endmacro %}
