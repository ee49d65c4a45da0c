-- One row per product or content that the shop knows: the catalogue's where it tells of it, else
-- what events tell. An event names a product by its id, alone or in a list of products; a bot's
-- event and an adjustment such as shipping name none.
--
-- title, category, brand: of the events that name the product, for each name of an event the
-- newest is looked at; of these the newest that tells the field counts.
-- price: the newest that an event tells, in base currency. What the product costs, how many are
-- left and when it is wanted again no event tells: NULL.
-- told_by: catalogue or events.
with catalogue as (
    select product_id, kind, title, description, category, brand, tags, price, currency, cost, stock,
        is_hidden, repurchase_days
    from raw.products
),
events as (
    select message_id, source, path, line, event_name, occurred_at, product_id, price
    from clean.events
    where not is_bot
),
listed as (
    select message_id, line, product_id, price
    from clean.order_products
),
naming as (
    select source, path, line, event_name, occurred_at, message_id, product_id, price,
        cast(null as bigint) as position
    from events
    where product_id is not null
    union all
    select e.source, e.path, e.line, e.event_name, e.occurred_at, e.message_id, l.product_id,
        l.price, l.line - 1 as position
    from listed as l
    join events as e on e.message_id = l.message_id
),
untold as (
    select n.source, n.path, n.line, n.event_name, n.occurred_at, n.message_id, n.product_id,
        n.price, n.position
    from naming as n
    left join catalogue as c on c.product_id = n.product_id
    where
        c.product_id is null
        and trim(n.product_id) <> ''
        and not regexp_like(n.product_id, $adjustment_products)
),
-- Few are the newest at their instant, so few are put in order.
latest as (
    select product_id, event_name, max(occurred_at) as occurred_at
    from untold
    group by product_id, event_name
),
ranked as (
    select u.source, u.path, u.line, u.occurred_at, u.message_id, u.product_id, u.position,
        row_number() over (
            partition by u.product_id, u.event_name order by u.message_id desc, u.position
        ) as newness
    from untold as u
    join latest as l
        on l.product_id = u.product_id
        and l.event_name = u.event_name
        and l.occurred_at = u.occurred_at
),
newest as (
    select source, path, line, occurred_at, message_id, product_id, position
    from ranked
    where newness = 1
),
records as (
    select source, path, line, properties
    from raw.events
),
said as (
    select n.product_id, n.occurred_at, n.message_id,
        case
            when n.position is null then r.properties
            else get_json_object(r.properties, '$.products[' || cast(n.position as string) || ']')
        end as properties
    from newest as n
    join records as r on r.source = n.source and r.path = n.path and r.line = n.line
),
fields as (
    select product_id, occurred_at, message_id,
        nullif(trim(coalesce(
            get_json_object(properties, '$.name'),
            get_json_object(properties, '$.title'),
            get_json_object(properties, '$.product_name')
        )), '') as title,
        nullif(trim(get_json_object(properties, '$.category')), '') as category,
        nullif(trim(get_json_object(properties, '$.brand')), '') as brand
    from said
),
titles as (
    select product_id, title,
        row_number() over (
            partition by product_id order by occurred_at desc, message_id desc, title
        ) as newness
    from fields
    where title is not null
),
categories as (
    select product_id, category,
        row_number() over (
            partition by product_id order by occurred_at desc, message_id desc, category
        ) as newness
    from fields
    where category is not null
),
brands as (
    select product_id, brand,
        row_number() over (
            partition by product_id order by occurred_at desc, message_id desc, brand
        ) as newness
    from fields
    where brand is not null
),
latest_prices as (
    select product_id, max(occurred_at) as occurred_at
    from untold
    where price is not null
    group by product_id
),
prices as (
    select u.product_id, u.price,
        row_number() over (
            partition by u.product_id order by u.message_id desc, u.position, u.price
        ) as newness
    from untold as u
    join latest_prices as l on l.product_id = u.product_id and l.occurred_at = u.occurred_at
    where u.price is not null
),
no_tags as (
    select collect_set(cast(null as string)) as tags
),
named as (
    select distinct product_id
    from untold
)
select product_id, kind, title, description, category, brand, tags, price, currency, cost, stock,
    is_hidden, repurchase_days, 'catalogue' as told_by
from catalogue
union all
select n.product_id,
    'product' as kind,
    t.title,
    cast(null as string) as description,
    c.category,
    b.brand,
    g.tags,
    p.price,
    $base_currency as currency,
    cast(null as decimal(18, 4)) as cost,
    cast(null as bigint) as stock,
    false as is_hidden,
    cast(null as int) as repurchase_days,
    'events' as told_by
from named as n
cross join no_tags as g
left join titles as t on t.product_id = n.product_id and t.newness = 1
left join categories as c on c.product_id = n.product_id and c.newness = 1
left join brands as b on b.product_id = n.product_id and b.newness = 1
left join prices as p on p.product_id = n.product_id and p.newness = 1
