-- Unknown is null with a reason, never 0 and never silent; a known price times the quantity is the cost.
select *
from {{ ref('fct_token_usage') }}
where
    (list_cost_usd is null) <> (price_reason is not null)
    or (list_cost_usd is null) <> (price_id is null and list_unit_price_usd is null or price_reason is not null)
    or abs(list_cost_usd - cast(quantity * list_unit_price_usd as decimal(38, 12))) > 0.000000000001
