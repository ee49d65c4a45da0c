-- One row per accepted consent record of the files being loaded: what was said, and how it is read.
--
-- Names are compared without case, spaces, punctuation and full width: E-Mail is email. A channel,
-- purpose or status that is on none of the lists below is not understood.
-- scope: the channel that it is about; NULL where that can be any: all, nothing said, not understood.
-- effect:
--   granted: status, purpose and channel exactly as they are declared, at a time that can be read.
--     On a channel that is on no list it counts if the shop declares that channel.
--   inexact: it says granted, but not exactly so. It does not count.
--   elsewhere: about a purpose that is not marketing.
--   withdrawn: everything else. A status that cannot be understood is taken for a withdrawal, and one
--     for a purpose that cannot be understood for a withdrawal from marketing too.
-- counts_at: of a grant, when it was said. Of a withdrawal, the latest instant that it can mean: the
-- end of its date where it tells no time of day, and without a time that can be read the end of its
-- file's load date.
with channels as (
    select channel, unnest(spelt) as spelt
    from (
        values
            (
                'sms', [
                    'sms', 'text', 'textmessage', 'texts', 'sms短信', '短信', '手机短信', '短讯',
                    '簡訊', '简讯'
                ]
            ),
            (
                'email', [
                    'email', 'emails', 'mail', '邮件', '电子邮件', '邮箱', '電郵', '电邮', '郵件'
                ]
            ),
            (
                'wechat', [
                    'wechat', 'weixin', 'wx', '微信', '微信公众号', '公众号', '服务号',
                    'officialaccount'
                ]
            ),
            (
                'wecom', [
                    'wecom', 'workwechat', 'wechatwork', 'wxwork', 'qywx', 'qyweixin',
                    '企业微信', '企微'
                ]
            ),
            ('mini_program', ['miniprogram', 'miniapp', '小程序', '微信小程序']),
            (
                'app_push', [
                    'apppush', 'app', 'push', 'apppushnotification', 'pushnotification',
                    'pushnotifications', 'mobilepush', 'appnotification', 'app推送', '推送',
                    '消息推送'
                ]
            ),
            ('web_push', ['webpush', 'browserpush', 'webpushnotification', '浏览器推送']),
            ('whatsapp', ['whatsapp']),
            (
                'voice', [
                    'voice', 'call', 'calls', 'phonecall', 'telemarketing', '语音', '外呼',
                    '电话营销'
                ]
            )
    ) as declared(channel, spelt)
),
said as (
    select
        staged.*,
        person.pseudonym as identifier,
        files.load_date,
        files.ended_at,
        case
            when staged."at" >= timestamp '1990-01-01' and staged."at" < timestamp '2101-01-01'
                then staged."at"
        end as said_at,
        list_transform(
            [staged.channel, staged.purpose, staged.status],
            lambda name: regexp_replace(
                lower(translate(
                    coalesce(name, ''),
                    -- Full width, and the same in half.
                    '０１２３４５６７８９ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ＊',
                    '0123456789abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz*'
                )),
                '[^\p{L}\p{N}*]', '', 'g'
            )
        ) as names
    from staged
    join files on files.path = staged.path
    left join pseudonyms as person on person.identifier = staged.user_key
    where staged.reason is null
),
matched as (
    select
        said.*,
        channels.channel as scope,
        names[1] in (
            '', '*', 'all', 'any', 'every', 'everything', 'allchannels', 'global', '全部', '所有',
            '全渠道', '所有渠道', '全部渠道'
        ) as is_of_all_channels,
        names[2] in (
            '', '*', 'marketing', 'all', 'any', 'everything', 'promotional', 'promotion',
            'promotions', 'promo', 'advertising', 'advertisement', 'ads', 'commercial',
            'newsletter', 'newsletters', 'offers', 'directmarketing', '营销', '市场营销', '推广', '促销',
            '广告', '全部', '所有'
        ) as is_of_marketing,
        names[2] in (
            'service', 'services', 'customerservice', 'transactional', 'transaction',
            'transactions', 'orderupdates', 'shipping', 'billing', '服务', '客服', '交易', '物流',
            '验证码'
        ) as is_elsewhere,
        names[3] in (
            'revoked', 'revoke', 'denied', 'deny', 'declined', 'decline', 'refused', 'refuse',
            'rejected', 'reject', 'withdrawn', 'withdraw', 'withdrew', 'objected',
            'unsubscribed', 'unsubscribe', 'unsub', 'optout', 'optedout', 'stop', 'stopall',
            'stopped', 'quit', 'end', 'cancel', 'cancelled', 'canceled', 'blocked',
            'blacklisted', 'suppressed', 'donotcontact', 'dnc', 'spam', 'markedasspam',
            'complained', 'complaint', 'n', 'no', 'false', '0', 'off', 'td', 't', '退订',
            'td退订', '拒收', '拒绝', '取消', '取消订阅', '已退订', '撤回', '撤销', '不同意',
            '否', '关闭', '屏蔽', '拉黑', '投诉'
        ) as is_plain_refusal
    from said
    left join channels on channels.spelt = names[1]
),
read as (
    select
        *,
        case
            when is_elsewhere then 'elsewhere'
            when coalesce(status, '') <> 'granted' then 'withdrawn'
            when purpose = 'marketing' and said_at is not null
                and (channel = scope or (scope is null and not is_of_all_channels))
                then 'granted'
            else 'inexact'
        end as effect
    from matched
)
select
    $source as source,
    read.path,
    read.line,
    read.identifier,
    list_sort(list_distinct(coalesce(addressed.hashes, []))) as address_hashes,
    redacted_text(coalesce(read.channel, '')) as channel,
    redacted_text(coalesce(read.purpose, '')) as purpose,
    redacted_text(coalesce(read.status, '')) as status,
    read.said_at as "at",
    redacted_text(read.proof) as proof,
    read.scope,
    read.effect,
    case
        when coalesce(read.status, '') <> 'granted' and not read.is_plain_refusal then 'status'
        when read.scope is null and not read.is_of_all_channels then 'channel'
        when not (read.is_of_marketing or read.is_elsewhere) then 'purpose'
        when read.said_at is null then 'at'
    end as not_understood,
    case
        when read.said_at is null then read.ended_at
        when read.effect = 'withdrawn'
            and length(regexp_replace(read.at_said, '\D', '', 'g')) <= 8
            and not contains(read.at_said, ':')
            then read.said_at + interval 1 day - interval 1 microsecond
        else read.said_at
    end as counts_at,
    read.load_date
from read
left join (
    select path, line, list(address_hash) as hashes
    from address_hashes
    group by path, line
) as addressed
    on addressed.path = read.path and addressed.line = read.line
