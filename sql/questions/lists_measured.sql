-- What the lists as served were worth in the newest holdout window, beside popularity: repeats
-- allowed (recall, ndcg), products alone that members had not ordered (recall_new, ndcg_new), and
-- how much few products hold of the places. No row before lists were measured.
select metric, value, baseline, n_members
from recommend.model_metrics
where
    model = 'served'
    and segment = 'all'
    and metric in (
        'recall', 'ndcg', 'recall_new', 'ndcg_new',
        'gini', 'first_ten_share', 'first_product_share'
    )
    and model_version = (select max(model_version) from recommend.als_model)
order by
    list_position(
        [
            'recall', 'ndcg', 'recall_new', 'ndcg_new',
            'gini', 'first_ten_share', 'first_product_share'
        ],
        metric
    )
