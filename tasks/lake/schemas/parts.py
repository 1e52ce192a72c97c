"""The fields that several collections have in the same words, and the columns that the lake adds to each."""

from __future__ import annotations

import pyarrow as pa

from tasks.lake.schemas.columns import flag, instant, json_text, record, records, required, text


def collection(*fields: pa.Field) -> pa.Schema:
    """Put the lake's own columns around a collection's: the key before, where a row comes from after.

    Args:
        fields: The API's fields in the API's order, without `id`.

    Returns:
        The schema of a collection.
    """
    return pa.schema(
        [
            required(
                text(
                    "integration_id",
                    "Kombo's id of the integration (one customer's connected ATS) that the row comes from, exactly as "
                    "Kombo writes it; together with id the key of the row.",
                )
            ),
            required(
                text(
                    "id",
                    "Kombo's id of the record, stable as long as the integration is; unique within this collection and "
                    "integration only, the same text may occur in another collection.",
                )
            ),
            *fields,
            required(instant("_fetched_at", "When the export received this version of the record, in UTC.")),
            required(text("_run_id", "Id of the export run that received this version of the record.")),
            json_text(
                "_extra",
                "JSON object with everything the API sent that has no column here or did not fit its column's type; "
                "null if there was nothing; may contain personal data.",
                personal=True,
            ),
        ]
    )


def nested_id(of: str) -> pa.Field:
    """Declare the Kombo id of a nested record."""
    return text("id", f"Kombo's id of the {of}; unique within its collection and integration.")


def remote_id(of: str) -> pa.Field:
    """Declare the ATS's own id."""
    return text(
        "remote_id",
        f"The ATS's own id of the {of}; may be put together from several identifiers and change, so join on Kombo's "
        "id; null where the ATS has none or the record was anonymised.",
    )


def changed_at() -> pa.Field:
    """Declare when Kombo saw a change."""
    return instant(
        "changed_at",
        "When Kombo noticed the last change of the record itself, in UTC; a change of a nested record does not "
        "move it.",
    )


def remote_deleted_at() -> pa.Field:
    """Declare the tombstone."""
    return instant(
        "remote_deleted_at",
        "When Kombo no longer found the record in the ATS, in UTC, which marks the row as deleted; Kombo anonymises it "
        "14 days later; null while the record exists.",
    )


def remote_created_at() -> pa.Field:
    """Declare when the ATS created the record."""
    return instant("remote_created_at", "When the record was created according to the ATS, in UTC; null if unknown.")


def remote_updated_at() -> pa.Field:
    """Declare when the ATS changed the record."""
    return instant("remote_updated_at", "When the record last changed according to the ATS, in UTC; null if unknown.")


def remote_data() -> pa.Field:
    """Declare the raw data."""
    return json_text(
        "remote_data",
        "JSON object with the ATS's raw answers, keyed by the ATS's endpoint paths; null unless the plan and the scope "
        "of the integration include it; may contain personal data that other columns leave out.",
        personal=True,
    )


def custom_fields(of: str) -> pa.Field:
    """Declare the mapped custom fields."""
    return json_text(
        "custom_fields",
        f"JSON object with the {of}'s custom fields, under the keys that were chosen in Kombo; values may be any JSON "
        "and differ in type from row to row; may contain personal data.",
        personal=True,
    )


def integration_fields(of: str) -> pa.Field:
    """Declare the passed-through fields."""
    return records(
        "integration_fields",
        f"Fields of the {of} passed through from the ATS as it names them; empty unless passing through is enabled.",
        text("id", "Kombo's id of the field."),
        text("key", "The field's key in the ATS."),
        text("type", "DEFAULT for a field that every account of the ATS has, CUSTOM for one that its users made."),
        json_text("value", "The field's value as JSON of any type; may contain personal data.", personal=True),
        text("label", "The field's label as users of the ATS see it; often null."),
    )


def location(of: str, *, personal: bool) -> pa.Field:
    """Declare an address; `personal` says that it may be somebody's own."""
    return record(
        "location",
        f"{of}; a postal address as far as Kombo could take it apart{'; personal data' if personal else ''}.",
        text("city", "City or town."),
        text("country", "ISO 3166-1 alpha-2 code where Kombo could tell it, else the ATS's own wording."),
        text("raw", "The whole address as one text, where the ATS has it so."),
        text("state", "State, province or region."),
        text("street_1", "First line of the street address."),
        text("street_2", "Second line of the street address."),
        text("zip_code", "Postal code."),
        personal=personal,
    )


def email_addresses() -> pa.Field:
    """Declare a candidate's e-mail addresses."""
    return records(
        "email_addresses",
        "The candidate's e-mail addresses, without those that Kombo found invalid; personal data.",
        text("email_address", "An e-mail address."),
        text("type", "What kind of address it is, in the ATS's words; null if unknown."),
        personal=True,
    )


def phone_numbers() -> pa.Field:
    """Declare a candidate's phone numbers."""
    return records(
        "phone_numbers",
        "The candidate's phone numbers; personal data.",
        text("phone_number", "A phone number as the ATS has it, in no fixed format."),
        text("type", "What kind of number it is, in the ATS's words; null if unknown."),
        personal=True,
    )


def social_media() -> pa.Field:
    """Declare a candidate's accounts elsewhere."""
    return records(
        "social_media",
        "The candidate's accounts on social media; personal data.",
        text("link", "URL of the account."),
        text("type", "Which network it is, in the ATS's words."),
        text("username", "Name of the account."),
        personal=True,
    )


def source() -> pa.Field:
    """Declare where a candidate came from."""
    return text(
        "source",
        "Where the candidate came from, in the ATS's words: usually a channel such as a job board, sometimes the "
        "person who referred them; treat as personal data.",
        personal=True,
    )


def first_name(of: str) -> pa.Field:
    """Declare a given name."""
    return text("first_name", f"Given name of the {of}; personal data.", personal=True)


def last_name(of: str) -> pa.Field:
    """Declare a family name."""
    return text("last_name", f"Family name of the {of}; personal data.", personal=True)


def user_email() -> pa.Field:
    """Declare the e-mail address of somebody who works with the ATS."""
    return text(
        "email", "E-mail address of the user; null if the ATS has an invalid one; personal data.", personal=True
    )


def outcome() -> pa.Field:
    """Declare how an application ended."""
    return text(
        "outcome",
        "How the application stands: PENDING (in process), HIRED, or DECLINED (rejected, or the candidate withdrew); "
        "null if Kombo cannot tell.",
    )


def rejection_reason_name() -> pa.Field:
    """Declare why an application ended."""
    return text(
        "rejection_reason_name",
        "Name of the reason for the rejection, as in the collection rejection_reasons; the API gives no id here.",
    )


def rejected_at() -> pa.Field:
    """Declare when an application ended."""
    return instant("rejected_at", "When the application was rejected, in UTC; null if it was not or is unknown.")


def offer_status() -> pa.Field:
    """Declare how an offer stands."""
    return text(
        "status",
        "How the offer stands: DRAFT, APPROVED, SENT, ACCEPTED, DECLINED, or ABANDONED (expired or void); usually in "
        "that order, and not every ATS shows every status; null if unknown.",
    )


def canceled() -> pa.Field:
    """Declare whether an interview was called off."""
    return flag("canceled", "True if the interview was called off; null if unknown.")


def interview_title() -> pa.Field:
    """Declare an interview's title."""
    return text("title", "Title of the interview; often names the candidate, so personal data.", personal=True)


def starting_at() -> pa.Field:
    """Declare an interview's start."""
    return instant("starting_at", "When the interview starts, in UTC.")


def ending_at() -> pa.Field:
    """Declare an interview's end."""
    return instant("ending_at", "When the interview ends, in UTC.")


def stage_status() -> pa.Field:
    """Declare whether a stage is in use."""
    return text(
        "status",
        "ACTIVE, or INACTIVE for a stage that is archived or hidden in the ATS though applications may still be in it; "
        "null if unknown or not delivered.",
    )


def stage_name() -> pa.Field:
    """Declare a stage's name."""
    return text("name", "Name of the stage in the hiring process, in the ATS's words.")


def job() -> pa.Field:
    """Declare the short form of a job."""
    return record(
        "job",
        "The job applied to, in short; a copy that may be older than the collection jobs, so join on the id.",
        nested_id("job"),
        remote_id("job"),
        text("name", "Title of the job."),
    )


def candidate(*more: pa.Field) -> pa.Field:
    """Declare the short form of a candidate.

    Args:
        more: What this collection has beyond the short form, in the API's order.
    """
    return record(
        "candidate",
        "The candidate, in short; a copy that may be older than the collection candidates; contains personal data.",
        nested_id("candidate"),
        remote_id("candidate"),
        first_name("candidate"),
        last_name("candidate"),
        email_addresses(),
        *more,
    )


def role() -> tuple[pa.Field, ...]:
    """Declare what a role is, wherever one occurs."""
    return (
        text("remote_label", "The role's label, in the ATS's words."),
        text("scope", "SYSTEM for a role in the whole ATS, JOB for one in a single job; null if unknown."),
        text(
            "unified_type",
            "Kombo's reading of the role: HIRING_MANAGER, RECRUITER, COORDINATOR, SOURCER, INTERVIEWER or ADMIN; null "
            "if none fits.",
        ),
    )


def tags() -> pa.Field:
    """Declare a candidate's tags."""
    return records(
        "tags",
        "The candidate's tags; a renamed tag shows here only once the candidate is read again.",
        nested_id("tag"),
        remote_id("tag"),
        text("name", "The tag's name."),
    )
