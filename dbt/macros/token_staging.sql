{# First columns of usage that is summed out of bronze rows: their source (of lineage the first row's), who counted, and when. What else a model knows
   it adds; what it doesn't know it leaves out: int_token_usage makes it null. #}
{% macro summed_usage(provider, start, grain, role='provider_report', account='_account_id') -%}
        _source_id as source_id,
        _billing_period as billing_period,
        min(_delivery_id) as delivery_id,
        min(_object_key) as object_key,
        min(_row_number) as row_number,
        {{ account }} as account_id,
        '{{ role }}' as usage_role,
        '{{ provider }}' as provider_name,
        {{ start }} as charge_start,
        {{ start }} as usage_start,
        {{ grain }} as usage_grain,
        {{ utc_date(start) }} as charge_date
{%- endmacro %}

{# CTEs and SELECT of a conservation test: what int_token_usage has of the exports in `bronze` (source_id, billing_period, row_count, input_tokens,
   output_tokens, request_count) is what bronze has, per month. #}
{% macro usage_differing_from_bronze() -%}
modelled as (

    select
        source_id,
        billing_period,
        sum(row_count) as row_count,
        sum(input_tokens_total) as input_tokens,
        sum(output_tokens_total) as output_tokens,
        sum(request_count) as request_count
    from {{ ref('int_token_usage') }}
    where source_id in (select source_id from bronze)
    group by all

)

select
    *
from bronze
full join modelled using (source_id, billing_period)
where
    bronze.row_count is distinct from modelled.row_count
    or bronze.input_tokens is distinct from modelled.input_tokens
    or bronze.output_tokens is distinct from modelled.output_tokens
    or bronze.request_count is distinct from modelled.request_count
{%- endmacro %}
