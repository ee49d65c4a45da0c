-- What the lists of every source foresaw in the newest holdout window, by segment of members.
with newest as (
    select model, segment, metric, value, baseline, n_members
    from recommend.model_metrics
    where model_version = (select max(model_version) from recommend.model_metrics)
)

select
    segment,
    model,
    round(max(value) filter (where metric = 'recall'), 3) as recall,
    round(max(baseline) filter (where metric = 'recall'), 3) as popularity_recall,
    round(max(value) filter (where metric = 'ndcg'), 3) as ndcg,
    round(max(baseline) filter (where metric = 'ndcg'), 3) as popularity_ndcg,
    round(max(value) filter (where metric = 'coverage'), 3) as coverage,
    max(n_members) as n_members
from newest
group by segment, model
order by
    list_position(['all', 'cold', 'light', 'heavy', 'new_members', 'new_products'], segment),
    ndcg desc,
    model
