-- Two prices of one thing at one time, for one prompt, would double the usage that joins them; a price without a day, a minute or a prompt is lost.
{%- set key = ['provider_name', 'model_id', 'token_class', 'service_tier', 'region_scope'] %}
{%- set ranges = {'valid_from': 'valid_to', 'from_minute_utc': 'to_minute_utc', 'context_from_tokens': 'context_to_tokens'} %}
with

book as (

    select * from {{ ref('int_price_book') }}

)

select
    provider_name,
    min(price_id) as price_id,
    'is there twice' as fault
from book
group by provider_name, price_id
having count(*) > 1

union all

select
    one.provider_name,
    one.price_id,
    'overlaps ' || another.price_id
from book as one
inner join book as another
    on one.price_id < another.price_id
    {%- for column in key %}
    and one.{{ column }} = another.{{ column }}
    {%- endfor %}
    {%- for starts, ends in ranges.items() %}
    and one.{{ starts }} < another.{{ ends }}
    and another.{{ starts }} < one.{{ ends }}
    {%- endfor %}

union all

select
    provider_name,
    price_id,
    'holds at no time'
from book
where
    {%- for starts, ends in ranges.items() %}
    {{ starts }} >= {{ ends }}{{ ' or' if not loop.last }}
    {%- endfor %}
