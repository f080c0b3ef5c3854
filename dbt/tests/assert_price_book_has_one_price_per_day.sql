-- Two prices of one thing on one day would double the usage that joins them.
select
    one.price_id,
    other.price_id as other_price_id
from {{ ref('int_price_book') }} as one
inner join {{ ref('int_price_book') }} as other
    on one.provider_name = other.provider_name
    and one.model_id = other.model_id
    and one.token_class = other.token_class
    and one.service_tier = other.service_tier
    and one.region_scope = other.region_scope
    and one.price_id < other.price_id
    and one.valid_from < other.valid_to
    and other.valid_from < one.valid_to
    and one.context_from_tokens < other.context_to_tokens
    and other.context_from_tokens < one.context_to_tokens
