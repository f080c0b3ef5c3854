{# Which model, meter and machine a bill's text means: ordered rules (seeds ai_*) against distinct texts, never against rows.
   Flow: ai_texts of the rows being built -> machine -> scope -> kind of usage -> everything else -> `ai_matched`, one row per text in
   scope. Within an aspect the fitting rule with the least priority wins. Why so: docs/decisions/0021. Alone: dbt/tests/ai. #}

{# The texts of a FOCUS row that rules may look at: name -> expression over the row. A row finds its text again by all of them. #}
{% macro ai_texts() %}
    {{ return({
        'host': 'coalesce(HostProviderName, ServiceProviderName)',
        'category': 'ServiceCategory',
        'service': 'ServiceName',
        'charge': 'ChargeCategory',
        'meter': 'SkuMeter',
        'usage': 'x_UsageType',
        'description': 'ChargeDescription',
        'machine': 'x_InstanceType',
        'line_type': 'x_LineItemType',
        'consumed_unit': 'ConsumedUnit',
        'pricing_unit': 'PricingUnit',
        'model': 'x_ModelId',
        'token_class': 'x_TokenClass',
    }) }}
{% endmacro %}

{# The columns that the texts and ai_candidate read. #}
{% macro ai_source_columns() %}
    {{ return([
        'HostProviderName', 'ServiceProviderName', 'ServiceCategory', 'ServiceName', 'ChargeCategory', 'SkuMeter', 'x_UsageType',
        'ChargeDescription', 'x_InstanceType', 'x_LineItemType', 'ConsumedUnit', 'PricingUnit', 'x_ModelId', 'x_TokenClass'
    ]) }}
{% endmacro %}

{# A row's join to its text. No row but a candidate has a host there, so that all others fall out before anything is compared. #}
{% macro ai_joined_by(line, text) -%}
    (case when {{ ai_candidate() }} then coalesce(HostProviderName, ServiceProviderName) end) = {{ text }}.host
    {%- for name, expression in ai_texts().items() if name != 'host' %}
    and {{ line }}.{{ expression }} is not distinct from {{ text }}.{{ name }}
    {%- endfor %}
{%- endmacro %}

{# Rows that may be AI, told without a look at the rules: cheap on millions of rows, and a superset of ai_scopes
   (dbt/tests/ai/ai_candidates_hold_every_scope.sql). Regular expressions run on compute and unclassified rows alone. #}
{% macro ai_candidate() -%}
    (
        ServiceCategory = 'AI and Machine Learning'
        or x_ModelId is not null
        or x_TokenClass is not null
        or (
            ServiceCategory in ('Compute', 'Other')
            and regexp_matches(
                concat_ws(' ', ServiceName, SkuMeter, x_InstanceType),
                '(?i)gpu|nvidia|tpu|bedrock|sagemaker|openai|foundry|cognitive|machine learning|\bai\b|vertex|gemini|generative|agent platform|data.?science|(^|[ :_.])(ml\.)?(p[2-9]|g[3-9]|gr[0-9]|inf[0-9]|trn[0-9]|dl[0-9])[a-z0-9-]*\.|(^|[ _])n[cdgv][0-9]|(^| )(a2|a3|a3plus|a4|a4x|g2|g4|ct[0-9][a-z]*)[ -]'
            )
        )
    )
{%- endmacro %}

{# What a rule calls a field, out of CTE `t`. `text` is all that the bill says of the meter, parts apart. #}
{% macro ai_field(name) -%}
    case {{ name }}
        when 'meter' then t.meter_text
        when 'usage' then t.usage_text
        when 'text' then t.all_text
        when 'machine' then t.machine_text
        when 'service' then lower(t.service)
        when 'category' then lower(t.category)
        when 'charge' then lower(t.charge)
        when 'line_type' then lower(t.line_type)
        when 'model' then t.model
        when 'token_class' then t.token_class
    end
{%- endmacro %}

{# Per text and aspect the rule of least priority that fits, and what it says: its output with \1 filled in. #}
{% macro ai_first_matches(relation, aspects, kind='cast(null as varchar)') -%}
    select
        fitting.text_id,
        fitting.aspect,
        arg_min(fitting.rule_id, fitting.priority) as rule_id,
        arg_min(
            case
                when contains(fitting.output, '\')
                    then regexp_replace(regexp_extract(fitting.field_text, fitting.pattern), fitting.pattern, fitting.output)
                else fitting.output
            end,
            fitting.priority
        ) as output
    from (
        select
            t.text_id,
            rules.*,
            {{ ai_field('rules.field') }} as field_text
        from {{ relation }} as t
        inner join ai_rules_by_host as rules
            on t.host_key = rules.host_key
            and (rules.service is null or regexp_matches(lower(t.service), rules.service))
            and (rules.kinds is null or contains('|' || rules.kinds || '|', '|' || {{ kind }} || '|'))
        where rules.aspect in ('{{ aspects | join("', '") }}')
    ) as fitting
    where regexp_matches(fitting.field_text, fitting.pattern)
    group by fitting.text_id, fitting.aspect
{%- endmacro %}

{# CTEs from `texts` (a relation with the columns of ai_texts) to `ai_matched` (those columns and what the rules say). #}
{% macro ai_match_ctes(texts) %}
    ai_fields as (
        select
            *,
            row_number() over () as text_id,
            case
                when lower(host) similar to '.*(aws|amazon).*' then 'aws'
                when lower(host) similar to '.*(microsoft|azure).*' then 'azure'
                when lower(host) similar to '.*(google|gcp).*' then 'gcp'
                when lower(host) similar to '.*oracle.*|oci' then 'oci'
                else lower(coalesce(host, ''))
            end as host_key,
            lower(coalesce(meter, usage, description, '')) as meter_text,
            lower(coalesce(usage, meter, '')) as usage_text,
            lower(concat_ws(' | ', meter, usage, description)) as all_text,
            lower(machine) as machine_text
        from {{ texts }}
    ),

    -- one row per rule and host; a rule without a host is for all of them. An empty cell of a seed is '' in a dbt unit test.
    ai_rules_by_host as (
        select
            rules.* replace (nullif(rules.service, '') as service, nullif(rules.kinds, '') as kinds),
            hosts.host_key
        from {{ ref('ai_rules') }} as rules
        inner join (select distinct host_key from ai_fields) as hosts
            on coalesce(rules.host, '') = '' or contains('|' || rules.host || '|', '|' || hosts.host_key || '|')
    ),

    ai_machines as ({{ ai_first_matches('ai_fields', ['machine']) }}),

    ai_scoped as (
        select t.* replace (ai_machines.output as machine_text)
        from ai_fields as t
        left join ai_machines on t.text_id = ai_machines.text_id
        where exists (
            select 1
            from {{ ref('ai_scopes') }} as scopes
            where
                (coalesce(scopes.host, '') = '' or scopes.host = t.host_key)
                and regexp_matches({{ ai_field('scopes.field') }}, scopes.pattern)
        )
        or exists (
            select 1
            from {{ ref('ai_scopes') }} as scopes
            where scopes.field = 'machine' and scopes.host = t.host_key and regexp_matches(ai_machines.output, scopes.pattern)
        )
    ),

    ai_kinds as ({{ ai_first_matches('ai_scoped', ['usage_kind']) }}),

    ai_kinded as (
        select t.*, ai_kinds.output as usage_kind, ai_kinds.rule_id as kind_rule
        from ai_scoped as t
        left join ai_kinds on t.text_id = ai_kinds.text_id
    ),

    ai_aspects as ({{ ai_first_matches(
        'ai_kinded',
        ['token_class', 'service_tier', 'region_scope', 'model', 'hours', 'accelerator', 'provisioned_unit', 'token_unit'],
        kind="coalesce(t.usage_kind, '')"
    ) }}),

    ai_said as (
        select
            text_id,
            {% for aspect in ['token_class', 'service_tier', 'region_scope', 'model', 'hours', 'accelerator', 'provisioned_unit', 'token_unit'] -%}
            max(case when aspect = '{{ aspect }}' then output end) as {{ aspect }}_said,
            {% endfor -%}
            string_agg(rule_id, ' ' order by aspect) as rule_ids
        from ai_aspects
        group by text_id
    ),

    {{ ai_model_ctes() }},
    {{ ai_unit_cte() }}
{% endmacro %}
