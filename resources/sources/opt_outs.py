"""What the attributes of a member record say against being messaged."""

from resources.warehouse import text_literal

# A look that most attributes do not pass.
_SUSPECT = "opt|unsub|subscri|consent|accept|donot|do.not|disturb|dnd|suppress|退订|拒收|勿扰"
_AGAINST = (
    "(?:opt(?:ed|s)?out|unsubscribed?|donot(?:contact|disturb|e?mail|call|text|sms|market)|dnd"
    "|suppressed|退订|拒收|勿扰)$"
)
_FOR = (
    "(?:opt(?:ed|s)?in|subscribed|acceptsmarketing|acceptmarketing"
    "|(?:marketing|email|sms|push|wechat)consent)$"
)
_NO = "^(?:false|f|0|0\\.0|no|n|off|否|none|null|)$"
_REFUSED = "unsubscribed|not.?subscribed|opt(?:ed)?.?out|denied|revoked|declined"

# `opt_outs(attributes)`: the channels that flags such as email_opt_out: true or
# accepts_marketing: false shut, '*' for all of them.
MACROS = f"""
create or replace temp macro opt_outs(said) as
    case
        when regexp_matches(lower(said), {text_literal(_SUSPECT)}) and json_valid(said)
            then list_sort(list_distinct(list_filter(
                list_transform(
                    list_transform(
                        coalesce(
                            map_entries(try_cast(cast(said as json) as map(varchar, varchar))), []
                        ),
                        lambda flag: {{
                            'name': regexp_replace(lower(flag.key), '[^\\p{{L}}\\p{{N}}]', '', 'g'),
                            'told': lower(trim(flag.value))
                        }}
                    ),
                    lambda flag: case
                        when flag.told is null then null
                        when not (
                            regexp_matches(flag.name, {text_literal(_AGAINST)})
                            and not regexp_matches(flag.told, {text_literal(_NO)})
                        ) and not (
                            regexp_matches(flag.name, {text_literal(_FOR)})
                            and not regexp_matches(flag.name, {text_literal(_AGAINST)})
                            and (
                                regexp_matches(flag.told, {text_literal(_NO)})
                                or regexp_matches(flag.told, {text_literal(_REFUSED)})
                            )
                        ) then null
                        when regexp_matches(flag.name, 'mail|邮') then 'email'
                        when regexp_matches(flag.name, 'sms|text|短信') then 'sms'
                        when regexp_matches(flag.name, 'wechat|weixin|微信') then 'wechat'
                        when contains(flag.name, 'push') then 'app_push'
                        else '*'
                    end
                ),
                lambda channel: channel is not null
            )))
        else []
    end;
"""
