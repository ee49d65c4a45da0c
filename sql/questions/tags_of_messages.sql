-- Of the messages that say a tag and a product, in how many is the tag one of the product's? By
-- campaign, of the newest run; by title, so that it can be asked of messages without a product_id.
with newest as (
    select max(run_date) as run_date from push.push_list
),
messages as (
    select
        campaign_id,
        json_extract_string(variables, '$.tag') as tag,
        json_extract_string(variables, '$.product_title') as title
    from push.push_list
    join newest using (run_date)
),
tagged as (
    select distinct trim(products.title) as title, product_tags.tag, true as is_its
    from clean.products as products
    join tags.product_tags as product_tags using (product_id)
)
select
    campaign_id,
    count(*) as n_messages,
    count(is_its) as n_of_the_product,
    round(100 * count(is_its) / count(*), 1) as percent
from messages
left join tagged using (title, tag)
where tag is not null and title is not null
group by campaign_id
order by campaign_id
