-- FOCUS DeliveryHandling-001: no reader has to deduplicate. A source row gives one charge and, for fees, one unused part.
select x_SourceId, x_BillingPeriod, x_DeliveryId, x_ObjectKey, x_RowNumber, x_LineItemType, count(*) as copies
from {{ ref('focus__cost_and_usage') }}
where {{ in_changed_slices() }}
group by all
having count(*) > 1
