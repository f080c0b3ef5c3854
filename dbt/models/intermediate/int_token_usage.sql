-- Usage reports of all token sources: disjoint token classes per source, month, day, provider, account, project,
-- model, key, tier and batch. A class that no row reports stays null.

with

reported as (

    {% for source in var('token_sources') %}
    select * from {{ ref('stg_' ~ source ~ '__tokens') }}
    {{ 'union all by name' if not loop.last }}
    {%- endfor %}

),

final as (

    select
        source_id,
        billing_period,
        charge_date,
        provider_name,
        account_id,
        project_id,
        model_id,
        api_key_id,
        service_tier,
        batch,
        {% for class in llm_token_classes() -%}
        cast(sum({{ class }}_tokens) as decimal(38, 0)) as {{ class }}_tokens,
        {% endfor -%}
        cast(sum(list_sum([
            input_uncached_tokens, input_cache_read_tokens, input_cache_write_5m_tokens, input_cache_write_1h_tokens
        ])) as decimal(38, 0)) as input_tokens_total,
        cast(sum(reported_input_tokens) as decimal(38, 0)) as reported_input_tokens,
        cast(sum(request_count) as bigint) as request_count,
        cast(sum(web_search_requests) as bigint) as web_search_requests,
        count(*) as row_count
    from reported
    group by
        source_id, billing_period, charge_date, provider_name, account_id, project_id, model_id, api_key_id, service_tier, batch

)

select * from final
