-- One row per product or content: the catalogue as last sent. Of several records of one
-- product_id the newest counts: by load_date, then path, then line (then source).
with product_records as (
    select source, path, line, product_id, kind, title, description, category, brand, tags, price,
        currency, cost, stock, is_hidden, repurchase_days, load_date
    from raw.product_records
),
ranked as (
    select source, path, line,
        row_number() over (
            partition by product_id order by load_date desc, path desc, line desc, source desc
        ) as newness
    from product_records
)
select p.product_id, p.kind, p.title, p.description, p.category, p.brand, p.tags, p.price,
    p.currency, p.cost, p.stock, p.is_hidden, p.repurchase_days, p.load_date
from product_records as p
join ranked as r on r.source = p.source and r.path = p.path and r.line = p.line
where r.newness = 1
