-- bronze.aws_cur2 -> the AWS line shape shared with the legacy report: map entries become columns, tags become JSON.
select
    *,
    {{ aws_tags_of_text('tags_text') }} as tags_json
from (
    select
        {{ aws_shared_line_columns() | join(',\n        ') }},
        product_region_code as region_code,
        nullif(product['product_name'], '') as product_name,
        nullif(product['vcpu'], '') as vcpu,
        nullif(product['memory'], '') as memory,
        nullif(product['gpu'], '') as gpu,
        nullif(product['operating_system'], '') as operating_system,
        {{ aws_text_of_map('resource_tags') }} as tags_text,
        {{ aws_first_tag_key('resource_tags', var('owner_tags')) }} as owner_tag,
        {{ aws_first_tag_key('resource_tags', ['name', 'Name']) }} as name_tag
    from {{ source('bronze', 'aws_cur2') }}
) as lines
