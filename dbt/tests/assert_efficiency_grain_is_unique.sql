-- An efficiency mart that holds a key twice counts its tokens or cost twice.
{%- set key = 'billing_period, charge_date, route_id, provider_name, project_id, model_id, base_model_id' %}
{%- set grains = {
    'fct_cache_efficiency_daily': key,
    'fct_batch_efficiency_daily': key,
    'fct_provisioned_throughput': 'billing_period, period_start, period_end, route_id, host_provider_name, sub_account_id, provisioned_unit_type, '
        ~ 'billed_model_id, region_scope, billing_currency',
    'fct_provider_comparison': 'billing_period, used_route_id, used_scope, provider_name, project_id, model_id, billing_currency, route_id, '
        ~ 'region_scope, equivalence',
} %}
{% for mart, grain in grains.items() %}
select '{{ mart }}' as mart
from {{ ref(mart) }}
group by {{ grain }}
having count(*) > 1
{{ 'union all' if not loop.last }}
{% endfor %}
