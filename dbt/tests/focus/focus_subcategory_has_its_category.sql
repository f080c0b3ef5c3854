-- FOCUS ServiceSubcategory-C-004: every subcategory has exactly one parent category.
select distinct focus.ServiceCategory, focus.ServiceSubcategory
from {{ ref('focus__cost_and_usage') }} as focus
left join {{ ref('focus_service_categories') }} as known
    on focus.ServiceSubcategory = known.service_subcategory and focus.ServiceCategory = known.service_category
where
    known.service_category is null
    and {{ in_changed_slices('focus.x_SourceId', 'focus.x_BillingPeriod') }}
