-- FOCUS of a pair is billed what the actual export says: purchases of commitments from it, everything else from the amortized export.
-- The two are written hours apart, so the days are compared that both have behind them; a month that the amortized export does not have
-- at all would be lost whole. Half a percent is for what Azure rates anew between the two runs (exactly: azure_pair_adds_up).
-- depends_on: {{ ref('focus__cost_and_usage') }}
{{ azure_pairs() }}

select *
from pairs
where amortized_days is null or abs(in_focus - in_actual) > 0.005 * in_actual_gross
