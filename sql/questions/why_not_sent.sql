-- Why did they not get it? Candidates of the newest run, by campaign and gate, in the gates' order.
with newest as (
    select max(run_date) as run_date from push.decisions
),
counted as (
    select
        campaign_id,
        list_position(
            [
                'erased', 'no consent', 'suppressed', 'no address', 'not in audience',
                'unfit text', 'shared address', 'holdout', 'frequency cap', 'quiet hours', 'budget',
                'lost arbitration', 'sent'
            ],
            reason
        ) as gate,
        reason,
        rule,
        count(*) as n_members
    from push.decisions
    join newest using (run_date)
    group by campaign_id, reason, rule
)
select
    campaign_id,
    gate,
    reason,
    rule,
    n_members,
    round(100 * n_members / sum(n_members) over (partition by campaign_id), 1) as percent
from counted
order by campaign_id, gate, n_members desc, rule
