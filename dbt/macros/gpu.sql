{# Telemetry is rebuilt by UTC hour (`YYYY-MM-DDTHH`), the marts of it by month. None named means all; only literals reach the filter, so
   that the scan prunes the hourly partitions. #}
{% macro in_changed_gpu_hours(column='event_hour') -%}
    {%- set hours = var('changed_gpu_hours', none) -%}
    {%- if hours is none -%}true
    {%- elif hours | length == 0 -%}false
    {%- else -%}{{ column }} in ('{{ hours | join("', '") }}')
    {%- endif -%}
{%- endmacro %}

{# The partitions that say something of the changed hours: a sample lies in the hour in which it starts and is never longer than one, and a
   step of the energy counter needs the reading before it. #}
{% macro in_read_gpu_hours(column='event_hour') -%}
    {%- set hours = var('changed_gpu_hours', none) -%}
    {%- if hours is none -%}true
    {%- elif hours | length == 0 -%}false
    {%- else -%}
    {%- set read = [] -%}
    {%- for hour in hours -%}
        {%- for back in range(3) -%}
            {%- set before = modules.datetime.datetime.strptime(hour, '%Y-%m-%dT%H') - modules.datetime.timedelta(hours=back) -%}
            {%- do read.append(before.strftime('%Y-%m-%dT%H')) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ column }} in ('{{ read | unique | join("', '") }}')
    {%- endif -%}
{%- endmacro %}

{# Incremental strategy `gpu_hours`: the changed hours go and come, in one transaction. #}
{% macro get_incremental_gpu_hours_sql(arg_dict) %}
    {{ replace_rows(arg_dict, in_changed_gpu_hours()) }}
{% endmacro %}

{# The one place where money of GPUs is split. `amount` (counts of 1e-12, HUGEINT) over parts with whole weights: each part gets the
   difference of two rounded-down running totals, so that the parts always sum to the amount, none is off by a whole count, and none has
   another sign than it. `cumulated` is the running sum of the weights, this part's own included; `total` the sum of all. #}
{% macro split_by_weight(amount, cumulated, weight, total) -%}
    cast(sign({{ amount }}) as hugeint) * (
        (abs({{ amount }}) * {{ cumulated }}) // {{ total }}
        - (abs({{ amount }}) * ({{ cumulated }} - {{ weight }})) // {{ total }}
    )
{%- endmacro %}

{# DECIMAL(38,12) as counts of 1e-12, and back. #}
{% macro to_counts(amount) -%}
    cast({{ amount }} * 1000000000000 as hugeint)
{%- endmacro %}
{% macro from_counts(counts) -%}
    cast(cast({{ counts }} as decimal(38, 0)) * cast(0.000000000001 as decimal(13, 12)) as decimal(38, 12))
{%- endmacro %}

{# The machine of a sample as bills name it; its host name where it has no id of a bill. A GPU may come back on another machine. #}
{% macro gpu_node_id() -%}
    coalesce({{ node_id_of_provider_id('resource_id') }}, nullif(resource_id, ''), host)
{%- endmacro %}

{# A column that only newer collectors fill: NULL of that type where the table has none (looked up when the project compiles). #}
{% macro gpu_column(relation, name, type) -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(relation) if column.name == name -%}{%- do found.append(name) -%}{%- endfor -%}
    {%- endif -%}
    {{ name if found else 'cast(null as ' ~ type ~ ')' }}
{%- endmacro %}

{# A field of a process that only newer collectors fill. #}
{% macro gpu_process_field(relation, name, type) -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(relation) if column.name == 'processes' and name in column.data_type -%}
            {%- do found.append(name) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ 'process.' ~ name if found else 'cast(null as ' ~ type ~ ')' }}
{%- endmacro %}

{# Compute slices of a GPU that can be cut: A30 and RTX PRO 6000 have 4, the others 7 (NVIDIA MIG user guide). The first number of a MIG
   profile (`3g.40gb`) counts the slices of an instance. Weights are microseconds x 5040, a multiple of both. #}
{% macro mig_slice_total(model_name) -%}
    case when {{ model_name }} ilike '%A30' or {{ model_name }} ilike '%A30-%' or {{ model_name }} ilike '%RTX PRO 6000%' then 4 else 7 end
{%- endmacro %}

{# What the accelerators' maker is called: as the collector says, else told from the model's name; NULL where neither does. #}
{% macro gpu_vendor(vendor, model_name) -%}
    coalesce({{ vendor }}, case
        when {{ model_name }} ilike '%nvidia%' or {{ model_name }} ilike 'tesla%' then 'nvidia'
        when {{ model_name }} ilike '%instinct%' or {{ model_name }} ilike 'amd %' then 'amd'
        when {{ model_name }} ilike '%tpu%' then 'google'
        when {{ model_name }} ilike '%trainium%' or {{ model_name }} ilike '%inferentia%' then 'aws'
    end)
{%- endmacro %}

{# The columns of fct_gpu_hours, from its CTEs costed, seen, nodes and rates. #}
{% macro gpu_hours_final() %}
select
    *,
    case when row_kind = 'gpu' then {{ exact_quotient('effective_cost', 'gpu_hours') }} end as cost_per_gpu_hour
from (
select
    costed.billing_period,
    costed.charge_date,
    coalesce(seen.hour_start, case when costed.by_hour then costed.bucket_start end) as hour_start,
    costed.node_id,
    seen.host,
    seen.cluster,
    costed.gpu_uuid,
    seen.gpu_index,
    seen.model_name,
    {{ gpu_vendor('seen.vendor', 'seen.model_name') }} as vendor,
    seen.accelerator_kind,
    costed.row_kind,
    case when costed.row_kind = 'not_observed' and not exists (
        select 1 from seen as day
        where day.node_id = costed.node_id and day.charge_date = costed.charge_date
    ) then 'no_telemetry_that_day'
        when costed.row_kind = 'not_observed' then 'telemetry_gap' end as row_reason,
    costed.cost_basis,
    costed.bill_source_id,
    costed.rate_id,
    costed.billing_currency,
    costed.effective_cost_part as effective_cost,
    costed.cost_reason,
    nodes.host_provider_name,
    nodes.instance_type,
    coalesce(nodes.owner, rates.owner) as owner,
    case
        when coalesce(nodes.owner, rates.owner) is not null then null
        when costed.cost_basis = 'bill' then coalesce(nodes.owner_reason, 'charges_name_no_owner')
        when costed.cost_basis = 'owned_rate' then 'rate_names_no_owner'
        else 'machine_on_no_bill'
    end as owner_reason,
    cast(case
        when costed.row_kind = 'gpu' then cast(seen.observed_us as decimal(38, 12)) / 3600000000
        when costed.row_kind = 'not_observed' then
            case when costed.weight > 1 then cast(costed.weight as decimal(38, 0)) / 3600000000 else costed.billed_gpu_hours end
    end as decimal(38, 12)) as gpu_hours,
    cast(cast(seen.observed_us as decimal(38, 0)) * cast(0.000001 as decimal(7, 6)) as decimal(38, 6)) as observed_seconds,
    {% for name in ['activity', 'sm_active', 'tensor_active', 'memory_used'] -%}
    cast(seen.{{ name }}_seconds / nullif(seen.{{ name }}_measured_seconds, 0) as decimal(18, 12)) as {{ name }}_ratio,
    cast(seen.{{ name }}_seconds as decimal(38, 12)) as {{ name }}_seconds,
    cast(seen.{{ name }}_measured_seconds as decimal(38, 12)) as {{ name }}_measured_seconds,
    {% endfor -%}
    cast(seen.activity_max_ratio as decimal(18, 12)) as activity_max_ratio,
    cast(seen.power_joules / nullif(seen.power_measured_seconds, 0) as decimal(18, 6)) as power_watts,
    cast(seen.power_joules / nullif(seen.power_measured_seconds, 0) / nullif(seen.power_limit_watts, 0) as decimal(18, 12)) as power_ratio,
    cast(coalesce(seen.energy_joules, seen.power_joules) as decimal(38, 6)) as energy_joules,
    case
        when seen.energy_joules is not null then 'counter'
        when seen.power_joules is not null then 'power_x_time'
    end as energy_basis,
    cast(seen.energy_reset_count as bigint) as energy_reset_count,
    cast(seen.mig_instance_count as bigint) as mig_instance_count,
    cast(seen.sample_count as bigint) as sample_count,
    cast(seen.duplicate_count as bigint) as duplicate_count,
    cast(seen.late_count as bigint) as late_count
from costed
left join seen on costed.gpu_uuid = seen.gpu_uuid and costed.event_hour = seen.event_hour and costed.node_id = seen.node_id
left join nodes
    on costed.node_id = nodes.node_id and costed.charge_date = nodes.charge_date and costed.bill_source_id = nodes.source_id
    and costed.billing_period = nodes.billing_period and costed.billing_currency = nodes.billing_currency
left join rates
    on costed.rate_id = rates.rate_id and costed.charge_date >= rates.valid_from
    and (rates.valid_to is null or costed.charge_date < rates.valid_to)
) as hours
{% endmacro %}
