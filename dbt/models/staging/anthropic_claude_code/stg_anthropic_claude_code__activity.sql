-- Claude Code's report: a row per record (who, terminal, what was done) and one per model in it (tokens). Its tokens stand
-- in the messages usage report too (API customers) or are covered by a seat (subscribers): no ledger and no bill reads this.

with

source as (

    select * from {{ source('bronze', 'anthropic_claude_code') }}

),

final as (

    select
        _source_id as source_id,
        _billing_period as billing_period,
        _delivery_id as delivery_id,
        _object_key as object_key,
        _row_number as row_number,
        _account_id as account_id,
        'Anthropic' as provider_name,
        {{ utc_date('starting_at') }} as charge_date,
        row_kind,
        actor_type,
        case when actor_type = 'user_actor' then actor_id end as user_id,
        case when actor_type is distinct from 'user_actor' then actor_id end as api_key_name,
        customer_type,
        case when customer_type = 'subscription' then 'seat' else 'messages_usage_report' end as tokens_counted_by,
        subscription_type,
        terminal_type,
        num_sessions as session_count,
        lines_added,
        lines_removed,
        commits as commit_count,
        pull_requests as pull_request_count,
        -- null where no tool was reported, not 0
        list_sum([edit_tool_accepted, multi_edit_tool_accepted, write_tool_accepted, notebook_edit_tool_accepted])
            as accepted_edit_count,
        list_sum([edit_tool_rejected, multi_edit_tool_rejected, write_tool_rejected, notebook_edit_tool_rejected])
            as rejected_edit_count,
        model as model_id,
        input_tokens as input_uncached_tokens,
        cache_read_tokens as input_cache_read_tokens,
        -- the report does not tell the lifetimes of cache writes apart
        cache_creation_tokens as input_cache_write_tokens,
        output_tokens,
        case
            when upper(estimated_cost_currency) = 'USD'
                then cast(estimated_cost_cents * cast(0.01 as decimal(3, 2)) as decimal(38, 12))
        end as estimated_cost_usd
    from source

)

select * from final
