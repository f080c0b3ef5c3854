{# Azure's unit of measure -> block size and FOCUS unit. Quantities and prices come per block: "10K" is ten thousand, "100 Hours" a
   hundred, "1 GB/Month" one. Read by rule, for Azure adds units without notice; what no rule reads is `Units` and says so. #}

{# Lower case, single blanks, no blanks around the slash, and the words of localised price lists in English. #}
{% macro azure_unit_text(unit) -%}
    regexp_replace(regexp_replace(regexp_replace(regexp_replace(
        lower(trim({{ unit }})), '\s+', ' ', 'g'), ' ?/ ?', '/', 'g'), '(hora|小时)s?$', 'hour'), '(por )?(mes|月)$', 'month')
{%- endmacro %}

{# How many single units are in one billed unit; 1 where the text has no number. #}
{% macro azure_block(text) -%}
    greatest(coalesce(try_cast(regexp_extract({{ text }}, '^([0-9]{1,12})', 1) as bigint), 1), 1)
    * case
        when regexp_matches({{ text }}, '^[0-9]{1,6}( ?b| billion)([ /]|$)') then 1000000000
        when regexp_matches({{ text }}, '^[0-9]{1,6}( ?m| million)([ /]|$)') then 1000000
        when regexp_matches({{ text }}, '^[0-9]{1,6} ?k([ /]|$)') then 1000
        else 1
    end
{%- endmacro %}

{# What is left without the number: '', 'gb/month', '/month', 'hours'. "1 1 Hour" and "10000s" exist too. #}
{% macro azure_unit_word(text) -%}
    trim(regexp_replace(regexp_replace({{ text }}, '^[0-9]+( ?[kmb]| million| billion)?([ /]|$)', '\2'), '^ ?1 (hour|day)', '\1'))
{%- endmacro %}

{# The FOCUS unit of such a word; NULL where no rule knows it. #}
{% macro azure_unit_of_word(word) -%}
    {%- set sizes = 'kb|mb|gb|tb|pb|kib|mib|gib|tib|pib' -%}
    {%- set times = 'second|minute|hour|day|month|year' -%}
    case
        when {{ word }} in ('', 'unit', 'units', 'count') then 'Units'
        when regexp_matches({{ word }}, '^({{ times }})s?$') then upper({{ word }}[1]) || rtrim({{ word }}[2:], 's') || 's'
        when regexp_matches({{ word }}, '^({{ sizes }})$') then replace(upper({{ word }}), 'IB', 'iB')
        when regexp_matches({{ word }}, '^({{ sizes }})[ /]({{ times }})s?$')
            then replace(upper(regexp_extract({{ word }}, '^[a-z]+')), 'IB', 'iB') || '-'
            || {{ azure_times("regexp_extract(" ~ word ~ ", '[ /]([a-z]+?)s?$', 1)") }}
        when regexp_matches({{ word }}, '^/({{ times }})s?$')
            then 'Unit-' || {{ azure_times("regexp_extract(" ~ word ~ ", '^/([a-z]+?)s?$', 1)") }}
        when regexp_matches({{ word }}, '^(hourly|daily) (unit|connection)s?$')
            then case when ends_with(rtrim({{ word }}, 's'), 'unit') then 'Unit-' else 'Connection-' end
            || case when starts_with({{ word }}, 'hourly') then 'Hours' else 'Days' end
        when regexp_matches({{ word }}, '^(instance|core|unit) (hour|hr)s?$')
            then upper({{ word }}[1]) || split_part({{ word }}[2:], ' ', 1) || '-Hours'
        when {{ word }} = 'iops/month' then 'IOPS-Months'
        when {{ word }} = 'api calls' then 'Calls'
        when regexp_matches(
            {{ word }},
            '^(call|certificate|character|connection|device|domain|event|execution|image|key|message|node|operation|page|query|record|request|rule|search|session|token|transaction|user)s?$'
        ) then upper({{ word }}[1]) || {{ word }}[2:] || case when ends_with({{ word }}, 's') then '' else 's' end
        when {{ word }} in ('queries', 'searches') then upper({{ word }}[1]) || {{ word }}[2:]
    end
{%- endmacro %}

{% macro azure_times(word) -%}
    upper({{ word }}[1]) || {{ word }}[2:] || 's'
{%- endmacro %}
