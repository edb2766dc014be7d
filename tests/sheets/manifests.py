"""Lists of passengers in English."""

from __future__ import annotations

from datetime import date

from tests.sheets.make import book, csv, sheet

_HEADS = (
    "RecordLocatorID StatusFlag IndexCase Seat_Number Last_Name First_Name Middle_Initial DOB Gender Perm_Home_Telephone "
    "Business_Telephone Perm_Cell_Pager Other_Phone Locate_Telephone Perm_Address Perm_City Perm_State Perm_Postal_Code Perm_Country "
    "Perm_Email Emergency_Telephone Locate_Address Emergency_Contact ConveyanceName IdentifyingNumber DateDeparture AirportCode "
    "DateArrival CityArrival CDCCaseID OnsetDate Notes"
)
EPI_X = _HEADS.split()


def line(**cells: str) -> list[str]:
    return [cells.get(head, "") for head in EPI_X]


def passenger(seat: str, family: str, given: str, phone: str, arrival: str, **more: str) -> list[str]:
    kept = {"Seat_Number": seat, "Last_Name": family, "First_Name": given, "Perm_Home_Telephone": phone, "DateArrival": arrival}
    return line(**kept, DOB="7/31/1961", ConveyanceName="Made Up Air", IdentifyingNumber="9999", **more)


@sheet("epi_x.csv", "data")
def _(p):
    rows = [
        passenger("11B", "Rivers", "Anna", "777-888-9999", "Aug 22 2022  7:24AM", Middle_Initial="Q"),
        passenger("12A", "O'Neil", "Seán", "(555) 555-0113", "8/3/2022 23:40", Emergency_Telephone="444-555-0000"),
        passenger("", "Müller", "Jürgen", "", "", Perm_Cell_Pager="15555550115"),
        passenger("", "Nobody", "At All", "", "8/22/2022"),
    ]
    said = [
        {"name": "Anna Q Rivers", "phone": "+17778889999", "day": date(2022, 8, 22)},
        {"name": "Seán O'Neil", "phone": "+15555550113", "day": date(2022, 8, 3)},
        {"name": "Jürgen Müller", "phone": "+15555550115", "day": None},
    ]
    return {"data": csv([EPI_X, *rows]).encode(), "people": said, "rejected": {"no_identity": 1}}


@sheet("epi_x_with_bad_fields.csv", "data")
def _(p):
    rows = [
        passenger("11B", "Rivers", "Anna", "fdsa", "0/1/20"),
        passenger("12A", "Stone", "Paul", "444-555-0000", "123"),
        passenger("13A", "Stone", "Mary", "444-555-0001", "1/1/00"),
        passenger("14A", "Stone", "Luke", "44", "8/22/2022"),
    ]
    return {"data": csv([EPI_X, *rows]).encode(), "people": [], "rejected": {"date_unreadable": 3, "phone_bad": 1}}


@sheet("manifest_with_passports.xlsx", "data")
def _(p):
    head = ["No.", "Surname", "Given Names", "Nationality", "Passport No.", "Date of Birth", "Seat", "Mobile", "Date of Arrival"]
    rows = [
        [1, "SMITH", "JOHN ADAM", "USA", "123456789", "03/04/1980", "1A", "+1 555 555 0113", "27/08/2022"],
        [2, "TANAKA", "YUKI", "JPN", "TR1234567", "05/06/1990", "1B", "+81-90-1234-5678", "03/08/2022"],
        [3, "IVANOV", "OLEG", "RUS", "751234567", "07/08/1970", "2A", "", "Aug 26, 2022"],
    ]
    said = [
        {"name": "JOHN ADAM SMITH", "doc": "123456789", "phone": "+15555550113", "day": date(2022, 8, 27)},
        {"name": "YUKI TANAKA", "doc": "TR1234567", "phone": "+819012345678", "day": date(2022, 8, 3)},
        {"name": "OLEG IVANOV", "doc": "751234567", "day": date(2022, 8, 26)},
    ]
    return {"data": book({"PAX": [head, *rows]}), "people": said}


@sheet("month_or_day_first.csv", "data")
def _(p):
    rows = [
        [one.name, one.doc, one.phone, way]
        for one, way in zip(p, ["03/08/2022", "04/08/2022", "2022-08-05", "5 Aug 2022", "", "6/8/2022"], strict=True)
    ]
    said = [one.told("name", "doc") | {"day": day} for one, day in zip(p[2:5], [date(2022, 8, 5), date(2022, 8, 5), None], strict=True)]
    return {
        "data": csv([["Name", "ID Number", "Mobile", "Arrival Date"], *rows]).encode(),
        "people": said,
        "rejected": {"date_unreadable": 3},
    }
