-- Bedrock's logged requests by hour and dimensions. Its input count leaves out what the cache served or took, so the classes are disjoint as
-- logged; a count that a record lacks is unknown. A model that is called by a profile or its ARN is named by the last part of it.
-- What went to bought throughput (its ARN, or the reserved tier) is not paid by the token.

with

source as (

    select
        * replace (
            case when lower(service_tier) = 'reserved' or contains(model_id, ':provisioned-model/') then 'provisioned' else service_tier end as service_tier
        ),
        date_trunc('hour', invoked_at at time zone 'UTC') at time zone 'UTC' as usage_start,
        regexp_extract(model_id, '([^/]+)$', 1) as model_name,
        coalesce(metadata_project, metadata_application, nullif(regexp_extract(identity_arn, ':assumed-role/(?:.*/)?([^/]+)/[^/]+$', 1), '')) as project,
        nullif(regexp_extract(identity_arn, '/(user-[0-9a-f]{16})$', 1), '') as person
    from {{ source('bronze', 'bedrock_logs') }}

),

final as (

    select
        {{ summed_usage('AWS', 'usage_start', "'hour'", role='gateway_log', account='account_id') }},
        operation as endpoint,
        project as project_id,
        model_name as model_id,
        person as user_id,
        metadata_feature as feature_tag,
        service_tier,
        service_tier = 'batch' as batch,
        region as region_id,
        -- the log counts a speech model's audio and text together
        'modalities_not_told' as price_gap,
        sum(input_tokens) as input_uncached_tokens,
        sum(cache_read_tokens) as input_cache_read_tokens,
        sum(cache_write_tokens) as input_cache_write_5m_tokens,
        sum(output_tokens) as output_tokens,
        count(*) as request_count,
        count(*) filter (where error_code is not null) as failed_request_count,
        count(*) as row_count
    from source
    group by
        _source_id, _billing_period, account_id, operation, usage_start, project, model_name, person, metadata_feature, service_tier, region

)

select * from final
