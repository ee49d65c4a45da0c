-- Whose churn risk in value.clv says less than their stage in value.lifecycle? Who is lost is a
-- high risk, and who stands in churn_risk is no low or unknown one.
select
    'member ' || l.member_id || ' is in stage ' || l.stage || ' with churn risk ' || c.churn_risk
from value.lifecycle as l
join value.clv as c on c.member_id = l.member_id
where
    (l.stage = 'lost' and c.churn_risk <> 'high')
    or (l.stage = 'churn_risk' and c.churn_risk in ('low', 'unknown'))
order by l.member_id
