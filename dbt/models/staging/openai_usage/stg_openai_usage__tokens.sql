-- One row per OpenAI usage row of any endpoint, with disjoint token classes. OpenAI's input_tokens is a superset:
-- uncached + cached + cache writes; older payloads lack the parts, so uncached is what the known parts leave.
-- A part that is absent stays null (unknown), it is not 0. Reasoning tokens are inside output_tokens.
-- Audio and image counts of input are uncached ones where their cached counterpart stands beside them. In older payloads they include what was
-- cached: with cached tokens in the row, nobody knows how much of them, and they stay among the text (price_gap says so).

with

source as (

    select * from {{ source('bronze', 'openai_usage') }}

),

told as (

    select
        *,
        coalesce(input_uncached_tokens, input_tokens - coalesce(input_cached_tokens, 0) - coalesce(input_cache_write_tokens, 0)) as uncached_tokens,
        coalesce(input_audio_tokens, 0) + coalesce(input_image_tokens, 0) as uncached_media_tokens,
        coalesce(input_cached_audio_tokens, 0) + coalesce(input_cached_image_tokens, 0) as cached_media_tokens,
        coalesce(input_cached_tokens, 0) = 0
        or (input_cached_audio_tokens is not null or coalesce(input_audio_tokens, 0) = 0)
        and (input_cached_image_tokens is not null or coalesce(input_image_tokens, 0) = 0) as is_apart,
        coalesce(
            input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_audio_tokens, input_cached_image_tokens, output_text_tokens,
            output_audio_tokens, output_image_tokens
        ) is not null as tells_modalities
    from source

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
        case
            when not tells_modalities and coalesce(endpoint, 'completions') = 'completions' then 'modalities_not_told'
            when uncached_media_tokens + cached_media_tokens > 0 and not is_apart then 'modalities_not_separated'
            when uncached_media_tokens + cached_media_tokens > 0 and input_cache_write_tokens > 0 then 'cache_writes_not_separated_by_modality'
        end as price_gap,
        uncached_tokens - case when is_apart then uncached_media_tokens else 0 end as input_uncached_tokens,
        input_cached_tokens - case when is_apart then cached_media_tokens else 0 end as input_cache_read_tokens,
        -- OpenAI names no lifetime of a cache write; the default lifetime is minutes, so the 5-minute class holds it
        input_cache_write_tokens as input_cache_write_5m_tokens,
        cast(null as bigint) as input_cache_write_1h_tokens,
        told.output_tokens - coalesce(told.output_audio_tokens, 0) - coalesce(told.output_image_tokens, 0) as output_tokens,
        case when is_apart then told.input_audio_tokens end as input_audio_tokens,
        case when is_apart then input_cached_audio_tokens end as input_audio_cache_read_tokens,
        output_audio_tokens,
        case when is_apart then told.input_image_tokens end as input_image_tokens,
        case when is_apart then input_cached_image_tokens end as input_image_cache_read_tokens,
        output_image_tokens,
        input_tokens as reported_input_tokens,
        told.output_tokens as reported_output_tokens,
        -- a model request that searched the web stands in the completions report, too
        case when endpoint is distinct from 'web_search_calls' then num_model_requests end as request_count,
        case when endpoint = 'web_search_calls' then num_requests end as web_search_requests,
        case when endpoint = 'web_search_calls' then num_requests end as web_search_requests_units,
        case when endpoint = 'file_search_calls' then num_requests end as file_search_requests_units,
        num_sessions as code_interpreter_sessions_units,
        images as images_units,
        characters as characters_units,
        seconds as audio_seconds_units,
        usage_bytes as vector_store_bytes_units
    from told

)

select * from final
