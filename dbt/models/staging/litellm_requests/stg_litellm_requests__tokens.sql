-- LiteLLM's requests by hour and dimensions, with disjoint token classes. LiteLLM's prompt_tokens contains cache reads and writes; where they
-- exceed it, a row has Anthropic's own numbers, which are beside it. An answer out of the gateway's own cache is a request without tokens.
-- Audio and image tokens are told of the whole prompt: in a request without cached tokens they are classes of their own, else nobody knows which
-- of them were cached, and they stay among the text (price_gap says so).

with

source as (

    select
        *,
        lower(coalesce(cache_hit, '')) = 'true' as is_gateway_hit,
        lower(coalesce(status, metadata_status, '')) = 'failure' as is_failed,
        coalesce(greatest(usage_cached_tokens, usage_cache_read_tokens, older_cache_read_tokens), 0) as read_tokens,
        coalesce(greatest(usage_cache_creation_tokens, usage_cache_write_tokens, older_cache_creation_tokens), 0) as written_tokens,
        coalesce(usage_cache_write_1h_tokens, 0) as written_1h_tokens,
        coalesce(usage_audio_tokens, 0) + coalesce(usage_image_tokens, 0) as media_tokens,
        coalesce(usage_output_audio_tokens, 0) + coalesce(usage_output_image_tokens, 0) as output_media_tokens
    from {{ source('bronze', 'litellm_requests') }}

),

providers as (

    select * from {{ ref('llm_gateway_providers') }}

),

told as (

    select
        source.*,
        date_trunc('hour', source.start_time at time zone 'UTC') at time zone 'UTC' as usage_start,
        coalesce(providers.provider_name, source.custom_llm_provider, 'LiteLLM') as provider_name,
        case
            when starts_with(source.model, source.custom_llm_provider || '/') then substr(source.model, length(source.custom_llm_provider) + 2)
            else source.model
        end as model_name,
        -- the first tag feature:<name>
        nullif(regexp_extract(source.request_tags, '"feature:([^"]+)"', 1), '') as feature_tag,
        source.read_tokens + source.written_tokens > source.prompt_tokens as is_disjoint,
        case
            when source.is_gateway_hit or source.media_tokens + source.output_media_tokens = 0 then null
            when source.media_tokens > source.prompt_tokens or source.output_media_tokens > source.completion_tokens then 'modalities_exceed_tokens'
            when source.media_tokens > 0 and source.read_tokens + source.written_tokens > 0 then 'modalities_not_separated'
        end as price_gap,
        not source.is_gateway_hit as is_counted,
        coalesce(source.declared_service_tier, source.usage_service_tier) as service_tier
    from source
    left join providers on lower(source.custom_llm_provider) = providers.gateway_provider

),

final as (

    select
        _source_id as source_id,
        _billing_period as billing_period,
        min(_delivery_id) as delivery_id,
        min(_object_key) as object_key,
        min(_row_number) as row_number,
        _account_id as account_id,
        'gateway_log' as usage_role,
        provider_name,
        call_type as endpoint,
        usage_start as charge_start,
        {{ utc_date('usage_start') }} as charge_date,
        usage_start,
        'hour' as usage_grain,
        team_id as project_id,
        model_name as model_id,
        api_key as api_key_id,
        coalesce(user_id, end_user_id) as user_id,
        feature_tag,
        service_tier,
        service_tier = 'batch' as batch,
        price_gap,
        sum(
            prompt_tokens
            - case when is_disjoint then 0 else read_tokens + written_tokens end
            - case when price_gap is null then media_tokens else 0 end
        ) filter (where is_counted) as input_uncached_tokens,
        sum(read_tokens) filter (where is_counted) as input_cache_read_tokens,
        sum(written_tokens - least(written_1h_tokens, written_tokens)) filter (where is_counted) as input_cache_write_5m_tokens,
        sum(least(written_1h_tokens, written_tokens)) filter (where is_counted) as input_cache_write_1h_tokens,
        sum(completion_tokens - case when price_gap is distinct from 'modalities_exceed_tokens' then output_media_tokens else 0 end)
            filter (where is_counted) as output_tokens,
        {% for modality in ['audio', 'image'] -%}
        sum(usage_{{ modality }}_tokens) filter (where is_counted and price_gap is null) as input_{{ modality }}_tokens,
        sum(usage_output_{{ modality }}_tokens)
            filter (where is_counted and price_gap is distinct from 'modalities_exceed_tokens') as output_{{ modality }}_tokens,
        {% endfor -%}
        sum(prompt_tokens + case when is_disjoint then read_tokens + written_tokens else 0 end) filter (where is_counted) as reported_input_tokens,
        count(*) as request_count,
        count(*) filter (where is_failed) as failed_request_count,
        coalesce(sum(
            prompt_tokens + completion_tokens + case when is_disjoint then read_tokens + written_tokens else 0 end
        ) filter (where is_failed and is_counted), 0) as failed_tokens,
        cast(coalesce(sum(spend) filter (where is_failed), 0) as decimal(38, 12)) as failed_cost_usd,
        count(*) filter (where is_gateway_hit) as gateway_cached_request_count,
        sum(usage_web_search_requests) as web_search_requests,
        cast(sum(spend) as decimal(38, 12)) as provider_cost_usd,
        count(*) as row_count
    from told
    group by
        _source_id, _billing_period, _account_id, provider_name, call_type, usage_start, team_id, model_name, api_key,
        coalesce(user_id, end_user_id), feature_tag, service_tier, price_gap

)

select * from final
