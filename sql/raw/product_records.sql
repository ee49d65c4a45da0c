-- One row per accepted catalogue record of the files being loaded.
select
    $source as source,
    staged.path,
    staged.line,
    staged.product_id,
    coalesce(staged.kind, 'product') as kind,
    staged.title,
    staged.description,
    staged.category,
    staged.brand,
    coalesce(staged.tags, []) as tags,
    staged.price,
    coalesce(staged.currency, $base_currency) as currency,
    staged.cost,
    staged.stock,
    coalesce(staged.is_hidden, false) as is_hidden,
    staged.repurchase_days,
    files.load_date
from staged
join files on files.path = staged.path
where staged.reason is null
