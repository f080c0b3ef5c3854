-- OpenAI's input_tokens is the sum of uncached, cached and cache-write tokens of text, audio and images, its output_tokens that of what was made;
-- anything else counts a token twice or not.
select
    source_id,
    charge_date,
    row_number,
    reported_input_tokens,
    input_uncached_tokens,
    input_cache_read_tokens,
    input_cache_write_5m_tokens
from {{ ref('stg_openai_usage__tokens') }}
where
    reported_input_tokens is distinct from list_sum({{ llm_class_columns('input') }})
    or reported_output_tokens is distinct from list_sum({{ llm_class_columns('output') }})
