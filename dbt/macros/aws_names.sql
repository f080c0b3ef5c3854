{# Names, ids and JSON of AWS charges: what a FOCUS reader groups by. #}

{# Region prefix of a usage type: USE1-, EUC1-, APN2-, EU-, UGW1- ... #}
{% macro aws_usage_type_without_region(usage_type) -%}
    regexp_replace({{ usage_type }}, '^(US[EW][0-9]|UG[EW][0-9]|EU[CNSW][0-9]|EU|AP[NSE]{1,2}[0-9]|CA[NW][0-9]|CAN|SAE1|AFS1|ME[CS][0-9]|ILC1|MXC1|CN[NW][0-9])-', '')
{%- endmacro %}

{# AWS Marketplace sells the third-party models of Bedrock; both shapes are one service. #}
{% macro aws_is_bedrock() -%}
    (
        line_item_product_code in (
            'AmazonBedrock', 'AmazonBedrockService', 'AmazonBedrockFoundationModels', 'AmazonBedrockAgentCore'
        )
        or (bill_billing_entity = 'AWS Marketplace' and product_name like '%Bedrock%')
    )
{%- endmacro %}

{# `arn:aws:rds:us-east-1:1:db:prod` -> `rds:db`; `i-0a` -> `ec2:instance`. Never NULL for an id. #}
{% macro aws_resource_type(resource_id) -%}
    case
        when {{ resource_id }} is null then null
        when {{ resource_id }} like 'i-%' then 'ec2:instance'
        when {{ resource_id }} like 'vol-%' then 'ec2:volume'
        when {{ resource_id }} like 'snap-%' then 'ec2:snapshot'
        when {{ resource_id }} like 'nat-%' then 'ec2:natgateway'
        when {{ resource_id }} like 'eni-%' then 'ec2:network-interface'
        when {{ resource_id }} like 'arn:%' then
            split_part({{ resource_id }}, ':', 3)
            || coalesce(':' || nullif(
                case
                    when contains(split_part({{ resource_id }}, ':', 6), '/') then split_part(split_part({{ resource_id }}, ':', 6), '/', 1)
                    when split_part({{ resource_id }}, ':', 7) <> '' then split_part({{ resource_id }}, ':', 6)
                end, ''), '')
        else lower(line_item_product_code) || ':resource'
    end
{%- endmacro %}

{# A number out of "2", "4 GiB" or "3,904 GiB" as JSON, NULL where there is none ("NA", "Variable"). #}
{% macro aws_json_number_member(key, text) -%}
    {#- a failing try_cast is slow, hence the look at the first character -#}
    '"{{ key }}":' || case
        when left({{ text }}, 1) between '0' and '9'
            then cast(try_cast(replace(split_part({{ text }}, ' ', 1), ',', '') as decimal(18, 3)) as varchar)
    end
{%- endmacro %}

{% macro aws_sku_price_details() -%}
    {{ json_object_of([
        json_text_member('InstanceType', 'product_instance_type'),
        aws_json_number_member('CoreCount', 'vcpu'),
        aws_json_number_member('MemorySize', 'memory'),
        aws_json_number_member('GpuCount', 'gpu'),
        json_text_member('OperatingSystem', "case
            when operating_system in ('Linux', 'RHEL', 'SUSE', 'Ubuntu Pro') then 'Linux'
            when operating_system like 'Windows%' then 'Windows'
            when operating_system like 'mac%' then 'MacOS'
        end"),
        json_text_member('x_Operation', 'line_item_operation')
    ]) }}
{%- endmacro %}
