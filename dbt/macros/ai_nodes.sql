{# What a Kubernetes node's spec.providerID is called in x_NodeId, so that node rows join to cluster nodes:
     aws:///us-east-1a/i-0abc                                        -> i-0abc
     azure:///subscriptions/…/virtualMachineScaleSets/x/virtualMachines/3 -> /subscriptions/…/virtualmachinescalesets/x (bills name the set)
     azure:///subscriptions/…/virtualMachines/vm                     -> the same id in lower case
     gce://project/zone/name                                         -> project/zone/name
     oci://ocid1.instance.oc1..x, or the bare OCID                   -> ocid1.instance.oc1..x
   A scale set's cost is that of all its machines: split it over them by their hours. NULL for ids of no cloud (kind://, k3s://).
   Examples that must hold: dbt/tests/ai/ai_provider_ids_become_node_ids.sql. #}
{% macro node_id_of_provider_id(provider_id) -%}
    nullif(case
        when starts_with({{ provider_id }}, 'aws://') then regexp_extract({{ provider_id }}, '/(i-[0-9a-f]+)$', 1)
        when starts_with(lower({{ provider_id }}), 'azure://')
            then regexp_replace(
                regexp_replace(lower({{ provider_id }}), '^azure:/+', '/'),
                '(/virtualmachinescalesets/[^/]+)/virtualmachines/[^/]+$', '\1'
            )
        when starts_with({{ provider_id }}, 'gce://') then regexp_extract({{ provider_id }}, '^gce://([^/]+/[^/]+/[^/]+)$', 1)
        else regexp_extract({{ provider_id }}, '^(?:oci:/+)?(ocid1\.instance\.[^/]+)$', 1)
    end, '')
{%- endmacro %}
