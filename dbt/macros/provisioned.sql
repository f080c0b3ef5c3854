{# The parts of fct_provisioned_throughput that need room. #}

{# CTEs `ai_said`, `ai_models_known` and `served`: tokens of tier `provisioned` by route, model and the hour or day that counts them. #}
{% macro provisioned_served_ctes() %}
    used as (
        select * from {{ ref('fct_token_usage') }}
        where
            service_tier = 'provisioned'
            and token_class in ('{{ llm_token_classes() | join("', '") }}')
    ),

    ai_said as (
        select distinct model_id as model_said from used
    ),

    {{ ai_model_ctes() }},

    served as (
        select
            coalesce(routes.route_id, {{ llm_slug('used.provider_name') }}) as route_id,
            used.model_id as served_name,
            coalesce(models.model_id, used.model_id) as served_model_id,
            used.charge_date as served_on,
            used.usage_start,
            used.usage_grain,
            {%- for class in llm_token_classes() %}
            coalesce(sum(used.quantity) filter (where used.token_class = '{{ class }}'), 0) as {{ class }}_tokens{{ ',' if not loop.last }}
            {%- endfor %}
        from used
        left join {{ ref('llm_routes') }} as routes on used.provider_name = routes.host_provider_name
        left join ai_models_known as models on used.model_id = models.model_said
        group by 1, 2, 3, 4, 5, 6
    )
{% endmacro %}

{# CTE `worth`: of each claimed row what its tokens weigh on the units and cost by the token: at the standard rate of the same route and scope that
   day (the account's own bill, else the price book; of a model as reported nobody knows that it is the one on the units). #}
{% macro provisioned_worth_ctes() %}
    rates as (
        select
            asked.*,
            {%- for class in llm_token_classes() %}
            arg_min(known.usd_per_million, 2 * known.rate_order + case when known.option_scope = '' then 1 else 0 end)
                filter (where known.token_class = '{{ class }}') as {{ class }}_rate{{ ',' if not loop.last }}
            {%- endfor %}
        from (select distinct route_id, region_scope, unit_model_id, served_on from claimed where served_on is not null) as asked
        left join {{ ref('int_llm_route_rates') }} as known
            on asked.route_id = known.route_id
            and asked.unit_model_id = known.base_model_id
            and known.equivalence = 'same'
            and known.service_tier = 'standard'
            and known.price_scope = 'global'
            and known.context_from_tokens = 0
            and known.rate_order <> 2
            and known.option_scope in ('', coalesce(asked.region_scope, ''))
            and known.valid_from <= asked.served_on
            and asked.served_on < known.valid_to
            -- a price by the hour is not the day's
            and known.to_minute_utc - known.from_minute_utc = 1440
        group by all
    ),

    worth as (
        select
            claimed.*,
            cast(
                list_sum({{ llm_input_but_reads() }}) + list_sum({{ llm_class_columns('input', 'cache_read') }}) * capacity.cache_read_weight
                + list_sum({{ llm_class_columns('output') }}) * capacity.output_weight as decimal(38, 12)
            ) as used_equivalents,
            cast(
                {%- for class in llm_token_classes() %}
                case when claimed.{{ class }}_tokens = 0 then 0 else {{ llm_cost('claimed.' ~ class ~ '_tokens', 'rates.' ~ class ~ '_rate') }} end{{ ' +' if not loop.last }}
                {%- endfor %}
                as decimal(38, 12)
            ) as payg_usd
        from claimed
        left join rates
            on {{ same_keys(['route_id', 'region_scope', 'unit_model_id', 'served_on'], 'claimed', 'rates') }}
        left join {{ ref('llm_provisioned_capacity') }} as capacity
            on claimed.provisioned_unit_type = capacity.provisioned_unit_type
            and claimed.unit_model_id = capacity.model_id
    )
{% endmacro %}
