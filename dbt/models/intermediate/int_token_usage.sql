-- Usage reports of all token sources: disjoint token classes per source, month, day, provider, account, project,
-- model, key, tier and batch. A class that no row reports stays null. The log of a gateway counts tokens that the provider's own report
-- counts too: usage_role tells them apart, and nobody may add them up.

with

reported as (

    -- what a staging model may leave out
    select
        cast(null as varchar) as usage_role,
        cast(null as bigint) as row_count
    where false
    {% for source in var('token_sources') %}
    union all by name
    select * from {{ ref('stg_' ~ source ~ '__tokens') }}
    {%- endfor %}

),

final as (

    select
        source_id,
        billing_period,
        charge_date,
        coalesce(usage_role, 'provider_report') as usage_role,
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
        cast(sum(coalesce(row_count, 1)) as bigint) as row_count
    from reported
    group by
        source_id, billing_period, charge_date, coalesce(usage_role, 'provider_report'), provider_name, account_id, project_id, model_id, api_key_id, service_tier, batch

)

select * from final
