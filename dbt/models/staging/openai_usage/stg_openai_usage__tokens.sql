-- One row per OpenAI usage row (completions), with disjoint token classes. OpenAI's input_tokens is a superset:
-- uncached + cached + cache writes; older payloads lack the parts, so uncached is what the known parts leave.
-- A part that is absent stays null (unknown), it is not 0. Reasoning tokens are inside output_tokens.

with

source as (

    select * from {{ source('bronze', 'openai_usage') }}

),

final as (

    select
        _source_id as source_id,
        _billing_period as billing_period,
        _delivery_id as delivery_id,
        _object_key as object_key,
        _row_number as row_number,
        _account_id as account_id,
        'provider_report' as usage_role,
        'OpenAI' as provider_name,
        endpoint,
        group_by_signature,
        bucket_start as charge_start,
        bucket_start as usage_start,
        {{ usage_grain('bucket_start', 'bucket_end') }} as usage_grain,
        {{ utc_date('bucket_start') }} as charge_date,
        project_id,
        model as model_id,
        api_key_id,
        user_id,
        service_tier,
        batch,
        -- audio and image tokens are in the classes below, at prices of their own where the model has them
        case
            when
                list_sum([
                    input_audio_tokens, input_cached_audio_tokens, output_audio_tokens, input_image_tokens, input_cached_image_tokens,
                    output_image_tokens
                ]) > 0
                then 'modalities_not_separated'
        end as price_gap,
        coalesce(
            input_uncached_tokens,
            input_tokens - coalesce(input_cached_tokens, 0) - coalesce(input_cache_write_tokens, 0)
        ) as input_uncached_tokens,
        input_cached_tokens as input_cache_read_tokens,
        -- OpenAI names no lifetime of a cache write; the default lifetime is minutes, so the 5-minute class holds it
        input_cache_write_tokens as input_cache_write_5m_tokens,
        cast(null as bigint) as input_cache_write_1h_tokens,
        output_tokens,
        input_tokens as reported_input_tokens,
        num_model_requests as request_count,
        cast(null as bigint) as web_search_requests
    from source

)

select * from final
