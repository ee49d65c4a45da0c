-- What do they read? Three messages of every campaign and arm of the newest run, filled.
with newest as (
    select max(run_date) as run_date from push.push_list
),
numbered as (
    select
        push_list.*,
        row_number() over (partition by campaign_id, arm order by dedupe_key) as n
    from push.push_list as push_list
    join newest using (run_date)
)
select
    campaign_id,
    arm,
    member_id,
    channel,
    locale,
    send_at,
    list_reduce(
        json_keys(variables),
        lambda text, name: replace(
            text, '{' || name || '}', json_extract_string(variables, '$.' || name)
        ),
        template
    ) as text
from numbered
where n <= 3
order by campaign_id, arm, n
