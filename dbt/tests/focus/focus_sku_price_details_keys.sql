-- FOCUS SkuPriceDetails-C-017/020: a key is one that FOCUS 1.4 defines, or starts with x_.
with keys as (
    select distinct unnest(json_keys(SkuPriceDetails)) as key
    from (
        select distinct SkuPriceDetails
        from {{ ref('focus__cost_and_usage') }}
        where json_valid(SkuPriceDetails) and {{ in_changed_slices() }}
    )
)

select key
from keys
where
    key not in (
        'CoreCount', 'DiskMaxIops', 'DiskSpace', 'DiskType', 'GpuCount', 'InstanceType', 'InstanceSeries', 'MemorySize',
        'NetworkMaxIops', 'NetworkMaxThroughput', 'OperatingSystem', 'Redundancy', 'StorageClass'
    )
    and not regexp_matches(key, '^x_[A-Z][A-Za-z0-9]*$')
