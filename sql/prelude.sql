-- Teaches DuckDB the Spark-spelled functions that sql/clean and sql/features may use, so that
-- one text runs on both engines. Macros are inlined when a statement is bound. No result may depend
-- on the order of rows, so none is kept.
set TimeZone = 'UTC';
set enable_progress_bar = false;
set preserve_insertion_order = false;
set default_null_order = 'nulls_first_on_asc_last_on_desc';
create or replace temp macro explode(l) as unnest(l);
create or replace temp macro sequence(a, b, s) as generate_series(a, b, s);
create or replace temp macro get_json_object(j, p) as
    case when json_valid(j) then json_extract_string(j, p) end;
create or replace temp macro unix_timestamp(t) as cast(floor(epoch(t)) as bigint);
create or replace temp macro datediff(e, s) as
    date_diff('day', cast(s as date), cast(e as date));
create or replace temp macro conv(s, f, t) as cast(('0x' || s) as bigint);
create or replace temp macro regexp_like(s, p) as regexp_matches(s, p);
create or replace temp macro try_divide(a, b) as a / nullif(b, 0);
create or replace temp macro from_utc_timestamp(t, z) as timezone(z, timezone('UTC', t));
create or replace temp macro to_utc_timestamp(t, z) as timezone('UTC', timezone(z, t));
create or replace temp macro sort_array(l) as list_sort(l);
create or replace temp macro collect_set(x) as
    coalesce(list(distinct x) filter (where x is not null), []);
create or replace temp macro json_object_keys(j) as case when json_valid(j) then json_keys(j) end;
create or replace temp macro array_join(l, s) as array_to_string(l, s);
