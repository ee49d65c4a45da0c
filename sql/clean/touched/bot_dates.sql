-- Visitors, dates and rules on which the verdict has turned.
with now as (
    select b.visitor_id, b.event_date, b.rule
    from clean.bots as b
    join touched_visitor_dates as t
        on t.visitor_id = b.visitor_id and t.event_date = b.event_date
)
(select visitor_id, event_date, rule from now
    except select visitor_id, event_date, rule from was_bots)
union all
(select visitor_id, event_date, rule from was_bots
    except select visitor_id, event_date, rule from now)
