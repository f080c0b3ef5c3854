-- A GPU mart that holds a key twice counts its cost and hours twice.
{%- set grains = {
    'fct_gpu_hours': 'billing_period, bill_source_id, rate_id, billing_currency, charge_date, node_id, gpu_uuid, hour_start, row_kind',
    'fct_gpu_allocation_hourly': 'billing_period, bill_source_id, rate_id, billing_currency, charge_date, node_id, gpu_uuid, hour_start, '
        ~ 'mig_gpu_instance_id, mig_profile, namespace, pod, job_id, usage_state, state_reason, allocation_basis',
    'fct_gpu_waste_daily': 'billing_period, charge_date, node_id, host, cluster, model_name, vendor, namespace, pod, job_id, usage_state, '
        ~ 'cost_basis, billing_currency, cost_reason, owner, owner_reason',
} %}
{% for mart, grain in grains.items() %}
select '{{ mart }}' as mart
from {{ ref(mart) }}
group by {{ grain }}
having count(*) > 1
{{ 'union all' if not loop.last }}
{% endfor %}
