"""The words that applications use for what we call generation, tenant, credit. One place, to be read and added to.

Names are compared word by word in the singular, so "imageGenerations" and image_generation are one. Numbers are points:
how much a name says, by itself. Lists of phrases are written with commas, the likeliest first.
"""

from __future__ import annotations

from collections.abc import Mapping

from queries.connect.shape import NUMBERS, TEXTS, TIMES, Kind


def _phrases(written: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in written.split(","))


def _points(written: str) -> dict[str, float]:
    """Phrases with their points: "generation 10, job 6"."""
    pairs = (one.rpartition(" ") for one in _phrases(written))
    return {phrase: float(points) for phrase, _, points in pairs}


# Tables, by phrase. A phrase at the end of a longer name counts for less, one within it for less still.
TABLES: Mapping[str, Mapping[str, float]] = {
    "generation": _points(
        "generation 10, generation session 9, generation job 9, generation request 9, prediction 8, inference 8, "
        "generation task 9, image request 8, render 7, generated image 7, job 6, creation 6, generated 6, task 5, "
        "artwork 5, usage event 5, image 4, video 4, run 4, request 4, picture 4, audio 4, event 3, session 3, photo "
        "3, output 2, order 2"
    ),
    "tenant": _points(
        "organization 10, organisation 10, org 10, tenant 10, workspace 9, team 8, company 8, account 6, customer 6, "
        "business 5, firm 6, client 5, studio 5, agency 5, group 4, shop 4"
    ),
    "user": _points("user 10, profile 7, member 6, app user 9, person 6, people 6, customer 5, account 4, auth user 8"),
    "membership": _points(
        "membership 10, organization member 10, org member 10, team member 10, workspace member 10, member 8, "
        "organization user 9, team user 9, user organization 9, user team 8, user workspace 8, workspace user 9, "
        "account user 9, user role 5"
    ),
    "subscription": _points(
        "subscription 10, user subscription 10, billing subscription 10, stripe subscription 9, contract 6"
    ),
    "credit_balance": _points(
        "credit balance 10, balance 9, credit 8, wallet 8, credit wallet 9, user credit 9, credit account 9, "
        "organization credit 9, team credit 9, token balance 8, account balance 8"
    ),
    "credit_transaction": _points(
        "credit transaction 10, credit ledger 10, credit movement 10, credit history 9, ledger 9, credit event 8, "
        "transaction 7, wallet transaction 9, credit usage 7, balance transaction 9, credit log 9, credit 3, movement "
        "6, token transaction 8, billing transaction 7, posting 6, wallet entry 9, credit entry 9, balance entry 9, "
        "wallet movement 9, wallet history 8, wallet log 8"
    ),
    "usage_limit": _points(
        "usage limit 10, quota 9, usage quota 10, daily usage 8, usage counter 9, rate limit 6, usage 6, limit 6, "
        "daily limit 8, quota counter 9, counter 4, quota usage 10"
    ),
    "image": _points(
        "image 10, generated image 10, generation output 8, output 8, asset 7, result 7, file 5, picture 9, generation "
        "image 10, media 7, artifact 7, generation result 8, photo 7"
    ),
    "plan": _points("plan 10, subscription plan 10, price plan 8, tier 8, package 6, product 4, price 3"),
}

# Columns of each logical table, likeliest first. A name may also carry the table's own words before it.
COLUMNS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "generation": {
        "type": _phrases(
            "type, kind, generation type, task type, job type, media type, transformation type, mode, operation, tool, "
            "category, feature, task, output type, action"
        ),
        "model": _phrases(
            "model, model name, ai model, model version, engine, model slug, checkpoint, base model, model key, "
            "provider model, model id, version, provider"
        ),
        "status": _phrases(
            "status, state, generation status, job status, task status, outcome, phase, stage, success, is success, "
            "succeeded, successful, is successful"
        ),
        "credits_used": _phrases(
            "credit used, credit cost, credit, credit charged, credit spent, credit consumed, cost credit, used "
            "credit, credit amount, credit deducted, token used, token cost, cost, total cost, cost usd, amount, "
            "price, charge, charged, coin, point, unit"
        ),
        "prompt": _phrases(
            "prompt, prompt text, input prompt, text prompt, user prompt, input text, positive prompt, wording"
        ),
        "error": _phrases(
            "error, error message, error text, failure reason, error msg, fail reason, failed reason, failure message, "
            "error detail, failure, error code"
        ),
        "created_at": _phrases(
            "created at, created, created on, requested at, inserted at, create time, created time, queued at, "
            "submitted at, asked at, enqueued at, ordered at, received at, creation date, date created, created date, "
            "started at, timestamp, occurred at, time, at, date"
        ),
        "completed_at": _phrases(
            "completed at, finished at, ended at, done at, completed, finished, complete time, end time, finish time, "
            "completed on, processed at, ready at, delivered at, end"
        ),
        "updated_at": _phrases("updated at, updated, modified at, updated on, update time, last updated, changed at"),
    },
    "organization": {
        "name": _phrases(
            "name, display name, title, label, company name, organization name, full name, nickname, username, "
            "user name, handle, slug, first name, email"
        ),
        "created_at": _phrases(
            "created at, created, created on, inserted at, date created, joined at, registered at, signed up at, "
            "create time"
        ),
    },
    "user": {
        "email": _phrases("email, email address, mail, primary email"),
        "name": _phrases("name, full name, display name, username, user name, nickname, handle, first name, email"),
        "created_at": _phrases("created at, created, created on, inserted at, joined at, registered at, date joined"),
    },
    "membership": {
        "role": _phrases("role, role name, member role, access level, permission"),
        "created_at": _phrases("created at, joined at, created, inserted at, added at, created on"),
    },
    "subscription": {
        "plan": _phrases("plan, plan name, tier, plan code, plan type, plan key, package, product name, plan id"),
        "status": _phrases("status, state, subscription status, stripe status"),
        "period_start": _phrases(
            "current period start, period start, start date, starts at, started at, billing period start, valid from, "
            "current period start at, start at"
        ),
        "period_end": _phrases(
            "current period end, period end, stripe current period end, end date, ends at, renews at, expires at, "
            "valid until, renewal date, billing period end, current period end at, valid to, next billing date, end at"
        ),
        "credits_per_period": _phrases(
            "credit per period, credit per month, monthly credit, credit, included credit, credit limit, credit quota, "
            "monthly quota, credit allowance, credit included, allowance, quota"
        ),
    },
    "credit_balance": {
        "balance": _phrases(
            "balance, credit balance, credit remaining, remaining credit, remaining, credit, credit left, current "
            "balance, available, available credit, token, amount, balance credit, coin, point, token balance, wallet "
            "balance, credit count, count"
        ),
        "reset_at": _phrases(
            "reset date, reset at, reset on, next reset, next reset at, resets at, credit reset at, renews at, credit "
            "reset date, expires at, refill at"
        ),
        "updated_at": _phrases("updated at, updated, modified at, updated on, last updated, changed at"),
    },
    "credit_transaction": {
        "type": _phrases("type, kind, transaction type, reason, entry type, category, source, event, action"),
        "amount": _phrases(
            "credit delta, credit amount, credit change, credit, amount, delta, change, quantity, value, point, token, "
            "diff"
        ),
        "price_paid": _phrases(
            "price paid, amount paid, price, paid amount, total paid, price amount, paid, price usd, money amount, "
            "payment amount, amount usd, price cent, amount cent, paid cent, total cent, amount"
        ),
        "currency": _phrases("currency, currency code, price currency, paid currency"),
        "created_at": _phrases(
            "created at, posted at, created, created on, occurred at, inserted at, booked at, timestamp, date, at, time"
        ),
    },
    "usage_limit": {
        "type": _phrases("type, kind, limit type, generation type, feature, resource, metric, name, key, action"),
        "date": _phrases("date, day, usage date, period date, for date, window start, period start, bucket, on"),
        "count": _phrases("count, used, usage, usage count, current, current usage, consumed, amount, value, total"),
        "limit": _phrases(
            "limit, max, quota, daily limit, cap, maximum, allowed, max count, limit value, usage limit, max per day, "
            "monthly limit, limit count, limit per day"
        ),
    },
    "image": {
        "url": _phrases(
            "url, image url, public url, file url, secure url, src, output url, path, storage path, key, uri, storage "
            "key, object key, file path, file key, image path, image key, output path, output key, object path, s3 "
            "key, blob key, storage url, location"
        ),
        "data": _phrases("data, image data, byte, content, blob, binary, image"),
        "size_bytes": _phrases("size byte, size, file size, byte size, file size byte, content length, length, byte"),
        "created_at": _phrases("created at, created, created on, inserted at, uploaded at, create time"),
    },
}

# What kinds of columns a meaning may have.
KINDS: Mapping[str, tuple[Kind, ...]] = {
    **dict.fromkeys(("created_at", "completed_at", "updated_at", "reset_at"), (*TIMES, "integer")),
    **dict.fromkeys(("period_start", "period_end"), (*TIMES, "date")),
    **dict.fromkeys(("credits_used", "balance", "amount", "price_paid", "credits_per_period"), NUMBERS),
    **dict.fromkeys(("count", "limit", "size_bytes"), NUMBERS),
    **dict.fromkeys(("prompt", "email", "name", "url", "currency"), ("text", "enum")),
    "error": ("text", "enum", "json"),
    "date": ("date", *TIMES),
    "data": ("bytes",),
    "type": (*TEXTS, "integer", "uuid"),
    "model": (*TEXTS, "integer", "uuid"),
    "plan": (*TEXTS, "integer", "uuid"),
    "role": TEXTS,
    "status": (*TEXTS, "integer", "boolean"),
}

# Columns that make a table one of events of generation, with what each is worth.
EVIDENCE: Mapping[str, float] = {
    "prompt": 5,
    "model": 3,
    "status": 2,
    "credits_used": 2,
    "error": 1,
    "duration": 2,
    "completed_at": 1,
}
DETAILS = _phrases(
    "negative prompt, seed, step, guidance, guidance scale, cfg scale, sampler, width, height, aspect ratio, num "
    "image, image count, style, style preset, image url, output url, video url, resolution, fps, input image, "
    "parameter, param, setting"
)
USERS = _phrases("user, creator, created by, author, owner, requested by, requester, member, profile, actor")
# A row that is no longer there; that is put aside; and that is there and not in use, which may mean less.
GONE = _phrases("deleted, removed, trashed, binned, discarded, soft deleted, thrown away")
ARCHIVED = _phrases("archived")
INACTIVE = _phrases("deactivated, disabled, inactivated, suspended")
# Columns that mark such rows, likeliest first.
MARKERS = tuple(
    form.format(one)
    for one in (*GONE, *ARCHIVED, *INACTIVE)
    for form in ("{} at", "{}", "is {}", "{} on", "{} date", "date {}", "{} time")
)
# Words of columns that matter to figures whatever table they are in.
AMOUNTS = _phrases(
    "amount, price, cost, fee, total, subtotal, credit, token, coin, point, balance, charge, charged, paid, refund, "
    "refunded, discount, tax, usd, eur, cent, spent, burned"
)
STATES = _phrases(
    "status, state, outcome, stage, phase, voided, void, cancelled, canceled, reversed, refunded, active, enabled"
)
DURATIONS = _phrases(
    "duration, latency, processing time, generation time, exec time, execution time, inference time, run time, "
    "runtime, elapsed, elapsed time, took, time taken, render time, compute time, predict time, total time, process "
    "time"
)
# Names that say a duration only when they are all there is.
ALONE = _phrases("second, sec, ms, milli, millisecond")
STARTED = _phrases("started at, start time, processing started at, began at, started, start, picked up at")
MEDIA = _phrases("image, video, audio, music, voice, speech, text, avatar, upscale, edit, photo, animation")

# Values, by the words in them; the first kind with a word that fits has it. In the order of asking.
VALUES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "generation_status": {
        "failed": _phrases(
            "fail, failed, failure, error, errored, timeout, timed out, rejected, reject, nsfw, blocked, moderated, "
            "crashed, dead, unsuccessful, flagged, refused, invalid"
        ),
        "cancelled": _phrases("cancel, cancelled, canceled, cancelling, abort, aborted, stopped, revoked, skipped"),
        "succeeded": _phrases(
            "succeeded, success, successful, succeed, complete, completed, done, finished, ready, ok, delivered, "
            "finish, generated, rendered, processed, published"
        ),
        "unfinished": _phrases(
            "pending, queued, queue, processing, running, started, starting, in progress, progress, created, waiting, "
            "submitted, new, scheduled, init, initialized, rendering, generating, draft, accepted, active, retrying, "
            "uploading, in queue, requested, open, working"
        ),
    },
    "transaction_type": {
        "refunded": _phrases("refund, refunded, reversal, reversed, restore, restored, returned, give back"),
        "expired": _phrases("expire, expired, expiry, expiration, lapse, lapsed, forfeit, forfeited"),
        "burned": _phrases(
            "charge, charged, usage, use, used, spend, spent, debit, consume, consumed, burn, consumption, deduct, "
            "deducted, deduction, generation, generate, burned, withdrawal, out, image, video, job, render"
        ),
        "purchased": _phrases(
            "purchase, purchased, buy, bought, top up, topup, payment, paid, order, refill, sale, invoice, checkout, "
            "pack, recharge, deposit"
        ),
        "granted": _phrases(
            "grant, granted, bonus, promo, promotion, signup, sign up, welcome, monthly, free, allocation, gift, "
            "reward, subscription, renewal, reset, allowance, referral, credit, trial, plan, coupon, initial, in, "
            "added, add, award"
        ),
        "adjusted": _phrases("adjust, adjusted, adjustment, correction, manual, admin, support, migration"),
    },
    "subscription_status": {
        "": _phrases(
            "canceled, cancelled, unpaid, expired, incomplete expired, inactive, ended, paused, none, incomplete, "
            "cancelled at period end, deleted, suspended, terminated"
        ),
        "renewing": _phrases("active, trialing, trial, past due, renewing, live, ok, paid, on trial, current, running"),
    },
}
