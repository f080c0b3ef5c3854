-- bronze.aws_cur -> one relation shaped like stg_aws_cur2__lines: dynamic tag columns become one JSON text.
{%- set bronze = source('bronze', 'aws_cur') %}
select
    {{ aws_shared_line_columns() | join(',\n    ') }},
    coalesce(product_region_code, product_region) as region_code,
    product_product_name as product_name,
    product_vcpu as vcpu,
    product_memory as memory,
    product_gpu as gpu,
    product_operating_system as operating_system,
    {{ aws_tags_of_columns(bronze) }} as tags_json,
    {{ aws_first_tag_column(bronze, var('owner_tags')) }} as owner_tag,
    {{ aws_first_tag_column(bronze, ['name']) }} as name_tag
from {{ bronze }}
