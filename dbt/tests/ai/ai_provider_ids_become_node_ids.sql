-- A Kubernetes providerID becomes the x_NodeId of the bill (macro node_id_of_provider_id); a wrong one would leave a node without its cost.
-- Run with the mart that is joined by it:
-- depends_on: {{ ref('fct_node_cost_daily') }}
with cases (provider_id, wanted) as (
    values
    ('aws:///us-east-1a/i-0abc', 'i-0abc'),
    ('aws:///eu-central-1b/i-0123456789abcdef0', 'i-0123456789abcdef0'),
    ('aws:///us-east-1a/fargate-ip-10-0-0-1.ec2.internal', null),
    (
        'azure:///subscriptions/11aa/resourceGroups/MC_rg_aks_eastus/providers/Microsoft.Compute/virtualMachineScaleSets/aks-gpu-vmss/virtualMachines/3',
        '/subscriptions/11aa/resourcegroups/mc_rg_aks_eastus/providers/microsoft.compute/virtualmachinescalesets/aks-gpu-vmss'
    ),
    (
        'azure:///subscriptions/11aa/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm-3',
        '/subscriptions/11aa/resourcegroups/rg/providers/microsoft.compute/virtualmachines/vm-3'
    ),
    ('gce://ml-train/us-central1-a/gke-pool-1-x2', 'ml-train/us-central1-a/gke-pool-1-x2'),
    ('oci://ocid1.instance.oc1.iad.abc', 'ocid1.instance.oc1.iad.abc'),
    ('ocid1.instance.oc1.iad.abc', 'ocid1.instance.oc1.iad.abc'),
    ('kind://docker/kind/kind-control-plane', null),
    (null, null)
)

select provider_id, wanted, {{ node_id_of_provider_id('provider_id') }} as found
from cases
where wanted is distinct from {{ node_id_of_provider_id('provider_id') }}
