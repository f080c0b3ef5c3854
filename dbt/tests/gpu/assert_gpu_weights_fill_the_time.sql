-- A GPU's time is given away once: the weights of its holders and of nobody are the time that was seen of it; only slices may leave time to
-- the part that no instance was made of. More than the time is possible only where a GPU was cut anew within a sample.
select
    hours.gpu_uuid,
    hours.node_id,
    hours.event_hour,
    hours.observed_us,
    sum(shares.weight) as weight
from {{ ref('int_gpu_hours') }} as hours
inner join {{ ref('int_gpu_shares') }} as shares using (gpu_uuid, node_id, event_hour)
group by all
having
    count(shares.mig_gpu_instance_id) = 0
    and sum(shares.weight) <> cast(hours.observed_us as hugeint) * 5040
    or min(shares.weight) <= 0
