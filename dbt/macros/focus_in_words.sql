{# The words of a vendor's FOCUS file -> those of FOCUS 1.4. What is no FOCUS word becomes NULL here; the caller says what then. #}

{# One name per provider, so that a bill and its FOCUS copy have one issuer; the name as delivered stays in x_InvoicingEntity. #}
{% macro focus_in_provider(name) -%}
    case
        when lower({{ name }}) in ('aws', 'amazon', 'amazon web services', 'amazon aws') or starts_with(lower({{ name }}), 'amazon web services')
            then 'AWS'
        when lower({{ name }}) in ('azure', 'microsoft', 'microsoft azure') or starts_with(lower({{ name }}), 'microsoft corp')
            or starts_with(lower({{ name }}), 'microsoft ireland') then 'Microsoft'
        when lower({{ name }}) in ('gcp', 'google', 'google cloud', 'google cloud platform', 'google llc')
            or starts_with(lower({{ name }}), 'google cloud ') then 'Google Cloud'
        when lower({{ name }}) in ('oci', 'oracle', 'oracle cloud', 'oracle cloud infrastructure')
            or starts_with(lower({{ name }}), 'oracle corp') then 'Oracle'
        else {{ name }}
    end
{%- endmacro %}

{# The word of a closed list that a text is in lower case and without blanks, hyphens and underscores. #}
{% macro focus_in_word(text, words) -%}
    case lower(regexp_replace({{ text }}, '[ _-]+', '', 'g'))
        {%- for word, meant in words.items() %}
        when '{{ word }}' then '{{ meant }}'
        {%- endfor %}
    end
{%- endmacro %}

{% macro focus_in_charge_category(text) -%}
    {{ focus_in_word(text, {'usage': 'Usage', 'purchase': 'Purchase', 'tax': 'Tax', 'credit': 'Credit', 'adjustment': 'Adjustment'}) }}
{%- endmacro %}

{% macro focus_in_frequency(text) -%}
    {{ focus_in_word(text, {'onetime': 'One-Time', 'recurring': 'Recurring', 'usagebased': 'Usage-Based'}) }}
{%- endmacro %}

{# 1.0-preview said On-Demand, Commitment-Based and Dynamic. #}
{% macro focus_in_pricing_category(text) -%}
    {{ focus_in_word(text, {
        'standard': 'Standard', 'ondemand': 'Standard', 'committed': 'Committed', 'commitmentbased': 'Committed',
        'commitmentdiscount': 'Committed', 'dynamic': 'Dynamic', 'spot': 'Dynamic', 'other': 'Other'
    }) }}
{%- endmacro %}

{# Spend or Usage by the commitment's own words, where the file does not say it. #}
{% macro focus_in_commitment_category() -%}
    coalesce(
        {{ focus_in_word('CommitmentDiscountCategory', {'spend': 'Spend', 'usage': 'Usage'}) }},
        case
            when lower(concat_ws(' ', CommitmentDiscountId, CommitmentDiscountType)) similar to '.*(saving|spend|billingbenefits).*' then 'Spend'
            else 'Usage'
        end
    )
{%- endmacro %}

{# A region's name that is none: charges without a region are NULL in FOCUS. #}
{% macro focus_in_region(text) -%}
    case when lower({{ text }}) not in ('global', 'external', 'any', 'none', 'unassigned', 'unknown', 'no region') then {{ text }} end
{%- endmacro %}

{# The kind of account by whose account it is. #}
{% macro focus_in_account_type(provider, aws, microsoft, google, otherwise) -%}
    case {{ provider }}
        when 'AWS' then '{{ aws }}' when 'Microsoft' then '{{ microsoft }}' when 'Google Cloud' then '{{ google }}' else '{{ otherwise }}'
    end
{%- endmacro %}

{# `arn:aws:rds:us-east-1:1:db:prod` -> `rds:db`; an Azure id -> `microsoft.compute/virtualmachines`; else what the service is called. #}
{% macro focus_in_resource_type(resource_id) -%}
    coalesce(
        case
            when starts_with({{ resource_id }}, 'arn:') then concat_ws(
                ':', split_part({{ resource_id }}, ':', 3),
                nullif(regexp_extract(split_part({{ resource_id }}, ':', 6), '^([a-z-]+)(/|$)', 1), '')
            )
            when lower({{ resource_id }}) like '%/providers/%' then nullif(
                regexp_extract(lower({{ resource_id }}), '.*/providers/([^/]+/[^/]+)/', 1), ''
            )
            when regexp_matches({{ resource_id }}, '^i-[0-9a-f]+$') then 'ec2:instance'
        end,
        lower(ServiceName) || ' resource', 'resource'
    )
{%- endmacro %}

{# What Kubernetes calls the machine: the EC2 instance id, the Azure VM's id in lower case, Google's project/zone/name. #}
{% macro focus_in_node_id(resource_id) -%}
    case
        when {{ resource_id }} is null then null
        when regexp_matches({{ resource_id }}, '(^|instance/)i-[0-9a-f]{8,}$') then regexp_extract({{ resource_id }}, '(i-[0-9a-f]{8,})$', 1)
        when lower({{ resource_id }}) like '%/microsoft.compute/virtualmachines%' then lower({{ resource_id }})
        when contains({{ resource_id }}, '/instances/') then nullif(array_to_string(regexp_extract_all(
            regexp_extract({{ resource_id }}, 'projects/[^/]+/zones/[^/]+/instances/[^/]+$'), '(?:projects|zones|instances)/([^/]+)', 1
        ), '/'), '')
    end
{%- endmacro %}

{# The unit where FOCUS' UnitFormat and our closed list (seed focus_units, here the column base_units) have it; else NULL. #}
{% macro focus_in_known_unit(unit) -%}
    case
        when {{ unit }} = BillingCurrency
            or list_has_all(base_units, string_split(replace(regexp_replace({{ unit }}, '^[1-9][0-9]* ', ''), '/', '-'), '-')) then {{ unit }}
    end
{%- endmacro %}
