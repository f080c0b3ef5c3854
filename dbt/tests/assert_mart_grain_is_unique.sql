-- A mart that holds a key twice counts its cost or tokens twice after the next join.
{%- set key = 'billing_period, charge_date, provider_name, project_id, model_id' %}
{%- set grains = {
    'fct_cost_daily': 'source_id, billing_period, charge_date, provider_name, billing_account_id, billing_account_name, sub_account_id, '
        ~ 'sub_account_name, service_category, service_subcategory, service_name, region_id, model_id, owner, owner_reason, charge_category, '
        ~ 'pricing_category, commitment_discount_status, billing_currency',
    'fct_cost_monthly_reporting': 'billing_period, provider_name, service_category, billing_currency',
    'fct_token_economics_daily': key ~ ', host_provider_name, token_class, service_tier, billing_currency',
    'fct_model_economics_daily': key ~ ', host_provider_name, billing_currency',
    'fct_token_usage': 'source_id, billing_period, usage_start, usage_grain, usage_role, provider_name, account_id, project_id, api_key_id, user_id, '
        ~ 'feature_tag, model_id, service_tier, context_tier, region_scope, price_gap, token_class, price_reason',
    'fct_llm_reconciliation_daily': 'billing_period, charge_date, provider_name, billing_currency',
    'fct_llm_unit_cost_daily': 'billing_period, charge_date, provider_name, project_id, api_key_id, user_id, feature_tag, model_id, service_tier',
    'fct_focus_faults': 'source_id, billing_period, rule_id',
    'fct_ai_cost_daily': 'source_id, billing_period, charge_date, host_provider_name, provider_name, service_name, sub_account_id, sub_account_name, owner, '
        ~ 'owner_reason, usage_kind, ai_reason, model_developer, model_family, model_id, token_class, service_tier, region_scope, '
        ~ 'accelerator_type, provisioned_unit_type, pricing_category, commitment_discount_status, capacity_reservation_status, '
        ~ 'charge_category, billing_currency',
    'fct_node_cost_daily': 'source_id, billing_period, charge_date, node_id, billing_currency',
} %}
{% for mart, grain in grains.items() %}
select '{{ mart }}' as mart
from {{ ref(mart) }}
group by {{ grain }}
having count(*) > 1
{{ 'union all' if not loop.last }}
{% endfor %}
