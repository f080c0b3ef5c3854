{# What a legacy CUR and a CUR 2.0 line have in common, and the two shapes in which they carry tags. #}

{% macro aws_shared_line_columns() %}
    {{ return([
        '_source_id', '_billing_period', '_delivery_id', '_object_key', '_row_number', '_account_name',
        'bill_bill_type', 'bill_billing_entity', 'bill_billing_period_start_date',
        'coalesce(bill_billing_period_end_date, ' ~ utc_month_start('_billing_period', 1) ~ ') as bill_billing_period_end_date',
        'bill_invoice_id', 'bill_invoicing_entity', 'bill_payer_account_id', 'bill_payer_account_name',
        'capacity_reservation_capacity_reservation_arn', 'capacity_reservation_capacity_reservation_status',
        'line_item_availability_zone', 'line_item_currency_code', 'line_item_legal_entity',
        'line_item_line_item_description', 'line_item_line_item_type',
        aws_filled_net('line_item_net_unblended_cost', 'line_item_unblended_cost'),
        'line_item_net_unblended_rate', 'line_item_normalized_usage_amount', 'line_item_operation', 'line_item_product_code', 'line_item_resource_id',
        'line_item_unblended_cost', 'line_item_unblended_rate', 'line_item_usage_account_id',
        'line_item_usage_account_name', 'line_item_usage_amount', 'line_item_usage_end_date',
        'line_item_usage_start_date', 'line_item_usage_type', 'pricing_currency', 'pricing_public_on_demand_rate',
        'pricing_rate_code', 'pricing_rate_id', 'pricing_term', 'pricing_unit', 'product_instance_type',
        'product_servicecode', 'product_sku', 'reservation_effective_cost',
        aws_filled_net('reservation_net_effective_cost', 'reservation_effective_cost'),
        'reservation_reservation_a_r_n', 'reservation_total_reserved_normalized_units',
        'reservation_total_reserved_units', 'reservation_unused_amortized_upfront_fee_for_billing_period',
        'reservation_unused_recurring_fee',
        aws_filled_net(
            'reservation_net_unused_amortized_upfront_fee_for_billing_period',
            'reservation_unused_amortized_upfront_fee_for_billing_period'
        ),
        aws_filled_net('reservation_net_unused_recurring_fee', 'reservation_unused_recurring_fee'),
        'reservation_unused_normalized_unit_quantity', 'reservation_unused_quantity',
        aws_filled_net('savings_plan_net_savings_plan_effective_cost', 'savings_plan_savings_plan_effective_cost'),
        'savings_plan_offering_type', 'savings_plan_savings_plan_a_r_n', 'savings_plan_savings_plan_effective_cost',
        'savings_plan_total_commitment_to_date', 'savings_plan_used_commitment', 'split_line_item_parent_resource_id'
    ]) }}
{% endmacro %}

{# Net columns are for accounts with private prices; where there are none some exports write 0.0 instead of nothing. A net
   amount of 0 beside a gross one that no discount explains is such a blank: taken for a price it would lose the charge. #}
{% macro aws_filled_net(net, gross) -%}
    {{ return(
        'case when ' ~ net ~ ' <> 0 or coalesce(' ~ gross ~ ', 0) = 0 or abs(discount_total_discount) >= abs(' ~ gross ~ ') then '
        ~ net ~ ' end as ' ~ net
    ) }}
{%- endmacro %}

{# Legacy: a column per tag, and the columns come and go with the delivery; user tags lose their prefix. #}
{% macro aws_tags_of_columns(relation) -%}
    {%- set members = [] -%}
    {%- for column in columns_like(relation, 'resource_tags_user_') -%}
        {%- do members.append(json_text_member(column[19:], adapter.quote(column))) -%}
    {%- endfor -%}
    {%- for column in columns_like(relation, 'resource_tags_aws_') -%}
        {%- do members.append(json_text_member('aws:' ~ column[18:], adapter.quote(column))) -%}
    {%- endfor -%}
    {{ json_object_of(members) }}
{%- endmacro %}

{# The first of the named tags that the row has; NULL of that type when no such column was delivered. #}
{% macro aws_first_tag_column(relation, tags) -%}
    {%- set present = columns_like(relation, 'resource_tags_user_') -%}
    {%- set candidates = ['cast(null as varchar)'] -%}
    {%- for tag in tags if 'resource_tags_user_' ~ tag in present -%}
        {%- do candidates.append(adapter.quote('resource_tags_user_' ~ tag)) -%}
    {%- endfor -%}
    coalesce({{ candidates | join(', ') }}, null)
{%- endmacro %}

{# CUR 2.0: one map -> its text; keys without a value are dropped. #}
{% macro aws_text_of_map(map) %}{{ return(adapter.dispatch('aws_text_of_map', 'costlake')(map)) }}{% endmacro %}
{% macro default__aws_text_of_map(map) -%}
    case
        when cardinality({{ map }}) = 0 then null
        when list_contains(map_values({{ map }}), '') or len(map_values({{ map }})) <> list_count(map_values({{ map }}))
            then cast(to_json(map_from_entries(
                list_filter(map_entries({{ map }}), lambda entry: coalesce(entry.value, '') <> '')
            )) as varchar)
        else cast(to_json({{ map }}) as varchar)
    end
{%- endmacro %}

{# Keys arrive as user_team and aws_created_by. The text is rewritten instead of the map, for a lambda per row costs
   10 times as much: `{"user_` or `,"user_` can only open a key, since a quote inside a value is written \". #}
{% macro aws_tags_of_text(text) -%}
    case
        when contains({{ text }}, '"aws_') then replace(replace(replace(replace(
            {{ text }}, '{"user_', '{"'), ',"user_', ',"'), '{"aws_', '{"aws:'), ',"aws_', ',"aws:')
        when starts_with({{ text }}, '{"user_') then '{"' || replace(substr({{ text }}, 8), ',"user_', ',"')
        else nullif({{ text }}, '{}')
    end
{%- endmacro %}

{% macro aws_first_tag_key(map, tags) -%}
    nullif(coalesce({% for tag in tags %}{{ map }}['user_{{ tag }}'], {% endfor %}null), '')
{%- endmacro %}
