"""The columns of a list of services, and the headings by which ministries call them.

Invariant: headings are written as `text.fold` gives them; one that could mean two columns says beside which other it means
which.
"""

from services.common.sheets import Column

COLUMNS = (
    Column(
        "code",
        (
            "ma thu tuc hanh chinh",
            "ma so thu tuc hanh chinh",
            "ma tthc",
            "ma so tthc",
            "ma thu tuc",
            "ma so thu tuc",
            "ma so",
            "ma dich vu cong",
            "ma",
            "procedure code",
            "procedurecodes",
            "code",
        ),
        exact=True,
    ),
    # In our own JSON, which tells the naming, "name" is that of the resource.
    Column("service", ("name",), beside="naming", sure=True),
    Column("service", ("ma he thong", "service id", "service", "id"), sure=True),
    Column("plan_number", ("so trong ke hoach", "so thu tu trong ke hoach", "plan number")),
    Column("memberships", ("memberships",)),
    Column(
        "name",
        (
            "ten thu tuc hanh chinh",
            "ten tthc",
            "ten thu tuc",
            "ten dich vu cong truc tuyen",
            "ten dich vu cong",
            "ten dich vu",
            "ten dvc",
            "ten dvctt",
            "thu tuc hanh chinh",
            "ten",
            "service name",
            "procedure name",
            "displayname",
            "name",
        ),
    ),
    Column("english_gloss", ("ten tieng anh", "english gloss", "english name", "englishgloss")),
    Column("field", ("linh vuc", "ten linh vuc", "field")),
    Column(
        "agency",
        (
            "co quan thuc hien",
            "don vi thuc hien",
            "co quan truc tiep thuc hien",
            "don vi chu tri",
            "co quan",
            "implementing agency",
            "agency",
            "agencies",
            "owner",
        ),
    ),
    Column("level", ("cap thuc hien", "cap hanh chinh", "level of government", "level", "levels")),
    Column("audience", ("doi tuong thuc hien", "doi tuong", "audience", "audiences")),
    Column(
        "online_level",
        ("muc do", "muc do dvc", "muc do dich vu cong", "muc do cung cap", "online level", "onlinelevels"),
    ),
    Column("channel", ("cach thuc thuc hien", "hinh thuc thuc hien", "cach thuc nop ho so", "channel", "channels")),
)
DEFAULTS = frozenset({"field", "agency", "level", "audience", "online_level", "channel"})

# The catalog's name for what a column holds, to name the cell to blame.
COLUMN_OF = {
    "display_name": "name",
    "english_gloss": "english_gloss",
    "procedure_codes": "code",
    "field": "field",
    "agencies": "agency",
    "levels": "level",
    "audiences": "audience",
    "channels": "channel",
    "online_levels": "online_level",
}
