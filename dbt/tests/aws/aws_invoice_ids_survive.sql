-- FOCUS InvoiceId-C-005: once AWS has issued an invoice for a slice, its FOCUS rows name it.
with invoiced as (
    {% for report in ['aws_cur', 'aws_cur2'] -%}
    select distinct _source_id, _billing_period, bill_invoice_id
    from {{ source('bronze', report) }}
    where bill_invoice_id is not null and {{ in_changed_slices('_source_id', '_billing_period') }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select invoiced.*
from invoiced
left join (
    select distinct x_SourceId, x_BillingPeriod, InvoiceId
    from {{ ref('focus__cost_and_usage') }}
    where {{ in_changed_slices() }}
) as focus
    on invoiced._source_id = focus.x_SourceId
    and invoiced._billing_period = focus.x_BillingPeriod
    and invoiced.bill_invoice_id = focus.InvoiceId
where focus.InvoiceId is null
