"""XLSX: a zip that is written as it grows, in constant memory. Texts stand in their cells; numbers are numbers as long
as Excel keeps all their digits, and texts beyond; times are in UTC."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import IO
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
import pyarrow.compute as pc

from queries.exports.canonical import Sums, joined, parsed
from queries.exports.reports import Order
from queries.exports.sink import Sink
from queries.exports.xlsx_cells import HEADER_STYLE, PARSED_TYPES, cells

CHUNK_BYTES = 512 * 1024
_ZIP64_FROM_BYTES = 2**31 - 1
_LEVEL = 1
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_WIDTHS = {"text": 24, "integer": 14, "number": 16, "timestamp": 27, "date": 12}
# The styles are counted from 0: plain, text, date, time, header.
_STYLES = (
    f'{_HEAD}<styleSheet xmlns="{_MAIN}"><numFmts count="2"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/>'
    '<numFmt numFmtId="165" formatCode="yyyy\\-mm\\-dd&quot;T&quot;hh:mm:ss.000&quot;Z&quot;"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    '</fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="5"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="165" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)


class XlsxFile:
    """One sheet. `sheet_bytes` is about how large it will be, before it is compressed."""

    def __init__(self, order: Order, sink: Sink, *, sheet_bytes: int) -> None:
        self._report, self._guards = order.what, order.guards
        self._columns = order.what.columns
        self._types = {one.name: PARSED_TYPES[one.kind] for one in self._columns if one.kind in PARSED_TYPES}
        self._is_large = sheet_bytes > _ZIP64_FROM_BYTES
        self._sink = sink
        self._zip: zipfile.ZipFile | None = None
        self._sheet: IO[bytes] | None = None
        self._sums = Sums(order.what)

    @property
    def sums(self) -> Mapping[str, Decimal] | None:
        return self._sums.found

    def begin(self) -> None:
        # Without a `tell`, zipfile writes sizes behind the data and never goes back.
        self._zip = zipfile.ZipFile(self._sink, "w")
        for name, text in _parts(self._report.title).items():
            self._zip.writestr(_entry(name), text)
        self._sheet = self._zip.open(_entry("xl/worksheets/sheet1.xml"), "w", force_zip64=self._is_large)
        widths = "".join(
            f'<col min="{place}" max="{place}" width="{_WIDTHS[one.kind]}" customWidth="1"/>'
            for place, one in enumerate(self._columns, 1)
        )
        names = "".join(
            f'<c s="{HEADER_STYLE}" t="inlineStr"><is><t>{escape(one.name)}</t></is></c>' for one in self._columns
        )
        self._sheet.write(
            f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1"'
            f' topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><cols>{widths}</cols>'
            f"<sheetData><row>{names}</row>".encode()
        )

    def add(self, chunk: bytes, rows: int) -> None:  # noqa: ARG002 - the protocol's
        assert self._sheet is not None, "begun"
        table = parsed(chunk, self._columns, self._types)
        self._sums.add(table)
        columns = (cells(table.column(one.name).combine_chunks(), one, guard=self._guards) for one in self._columns)
        self._sheet.write(joined(pc.binary_join_element_wise("<row>", *columns, "</row>", "")))
        pa.default_memory_pool().release_unused()

    def end(self) -> None:
        assert self._sheet is not None, "begun"
        assert self._zip is not None, "begun"
        self._sheet.write(b"</sheetData></worksheet>")
        self._sheet.close()
        self._zip.close()

    def give_up(self) -> None:
        for one in (self._sheet, self._zip):
            if one is not None:
                with suppress(RuntimeError, ValueError):  # what zipfile has against the half of a file
                    one.close()


def _entry(name: str) -> zipfile.ZipInfo:
    """Without the time of writing: the same rows are the same bytes."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry._compresslevel = _LEVEL  # type: ignore[attr-defined]  # has no public name before Python 3.13
    return entry


def _parts(title: str) -> dict[str, str]:
    """All parts of the file but the sheet."""
    overrides = {
        "/xl/workbook.xml": "sheet.main",
        "/xl/worksheets/sheet1.xml": "worksheet",
        "/xl/styles.xml": "styles",
    }
    types = "".join(
        f'<Override PartName="{name}" ContentType="{_TYPE}.{kind}+xml"/>' for name, kind in overrides.items()
    )
    relations = f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">'
    return {
        "[Content_Types].xml": f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels"'
        f' ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml"'
        f' ContentType="application/xml"/>{types}</Types>',
        "_rels/.rels": f'{relations}<Relationship Id="rId1" Type="{_OFFICE}/officeDocument"'
        ' Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        f'<sheet name={quoteattr(title[:31])} sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{relations}<Relationship Id="rId1" Type="{_OFFICE}/worksheet"'
        f' Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/>'
        "</Relationships>",
        "xl/styles.xml": _STYLES,
    }
