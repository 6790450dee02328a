"""The element order of `cain.001.001.05`, as data: what a JSON store forgets and an XML reader insists on.

One entry per composite element, children in the order of the schema's sequence. `+` marks a mandatory child, `*`
one that may repeat (a list in JSON), `?` a true/false indicator (a boolean in JSON). A child with an entry of its
own is composite, every other child is a text. Composite elements that no part of Postrail carries are left out,
and so is every element that could hold a clear card number, a track, a PIN block or chip data.

Source: AuthorisationInitiationV05 and the types it is made of.
"""

from dataclasses import dataclass
from typing import Final

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:cain.001.001.05"
ROOT: Final = "AuthstnInitn"

CARD_SECRETS: Final = frozenset({"PAN", "Trck1", "Trck2", "Trck3", "PINData", "ICCRltdData", "Vrfctn", "PrtctdData"})
"""Elements of the standard that may carry what must never be kept. They are refused by name."""


@dataclass(frozen=True, slots=True)
class Child:
    """One child of a composite element and its place in the sequence."""

    name: str
    position: int
    mandatory: bool
    repeats: bool
    indicator: bool


_SEQUENCES: Final = {
    "AuthstnInitn": """
        Hdr+ TxChrtcs+ Acqrr+ Sndr Card AcctFr AcctTo TxId+ ConvsDtTm XchgRate* TxAmts+ Accptr Termnl Cntxt+
        Tkn Crdhldr* Rcncltn PrcgRslt
    """,
    "Hdr": """
        MsgFctn+ PrtcolVrsn XchgId ReTrnsmssnCntr CreDtTm ColltnId BtchId MsgSeqNb MsgChcksmInptVal InitgPtyId
        RcptPtyId TracData
    """,
    "TxChrtcs": """
        TxTp+ TxSubTp TxAttr* Cxl? Colltn? SbsqntTxTp MsgRsn* AltrnMsgRsn* PreAuthstnTmLmt TxDesc RtgTblId
    """,
    "Acqrr": """
        Id+ BizId Ctry BizNm LglCorpNm Adr
    """,
    "Sndr": """
        Id+ BizId Ctry BizNm LglCorpNm Adr
    """,
    "Card": """
        PrtctdPAN? CardSeqNb FctvDt XpryDt SvcCd PmtAcctRef PANAcctRg Ctry PdctTp PdctSubTp PrtflIdr Brnd
        AcctFndgSrc Sgmt Schme IsseDt
    """,
    "AcctFr": """
        Nm Tp Id
    """,
    "AcctTo": """
        Nm Tp Id
    """,
    "TxId": """
        LclDt LclTm TmZone PurchsIdrTp PurchsIdr TrnsmssnDtTm SysTracAudtNb+ RtrvlRefNb LifeCyclSpprt
        LifeCyclId AssoctdTxLifeCyclId LifeCyclIdVldtn AuthstnSeqNb PresntmntSeqNb PresntmntSeqCnt AuthntcnTkn
        LifeCyclIdMssng AcqrrRefData AcqrrRefNb IssrRefData AssoctdData? AssoctdDataRef AssoctdDataDstn
    """,
    "ConvsDtTm": """
        Dt+ Tm
    """,
    "XchgRate": """
        Prvdr Id Dt Tm EndPt CntrCcyCd BaseCcyCd Rate RateTp AgrmtTp RateLckReqd? RateLckElgbl? RateLckApld?
    """,
    "TxAmts": """
        AmtQlfr Amt+ Ccy+ CrdhldrBllgAmt CrdhldrBllgCcy CrdhldrBllgFctvXchgRate RcncltnAmt RcncltnCcy
        RcncltnFctvXchgRate
    """,
    "Accptr": """
        Id+ SchmeAssgndId BizNm LglCorpNm NmAndLctn+ Adr AddtlAdr Email URL Phne CstmrSvc AddtlCtct BizRegnId
        BizRegnIdTp AddtlTxRefNb CorpTaxId CorpTaxIdTp BizTp BizTpPrvddBy OwnrTp OwnrTpPrvddBy CertfctnTp
        CertfctnTpPrvddBy OwnrEthnctyTp OwnrEthnctyTpPrvddBy PrtnrId
    """,
    "Termnl": """
        Id+ Tp SubTp RdngCpblty* WrtgCpblty* PINLngthCpblty PINNtryCpblty ApprvlCdLngth MxScrptLngth
        CardCaptrCpbl? OnLineCpblty CrdhldrVrfctnCpblty* TempScrStorg? IntgtnTp GeogcLctn Outdr? OffPrmiss?
        OnBrd? SrlNb CertfctnId TermnlLineNcrptnCertfd? UnqKeyPerTermnlCertfd? NcrptnMtd SnglTap? Ctry
    """,
    "Cntxt": """
        CardDataNtryMd+ QRCdPresntmntMd MrchntCtgyCd+ MrchntCtgySpcfcData OthrMrchntCtgy POSCondCd CardPres?
        CrdhldrPres? CrdhldrActvtd? TrnspndrInittd? Trnst? TrnsprtnMd EVChrgg? Attndd? UattnddLvlCtgy EComrc?
        EComrcIndPropsd EComrcIndApld MOTOCd FnlAuthstn? CstmrCnsnt? TxInitr DelydChrgs? NoShow? Reauthstn?
        ReSubmissn? DelydAuthstn? LatePresntmnt? DfrrdDlvry? PrtlShipmnt? SpltPmt? PrtlApprvlSpprtd?
        SctyChrtcs* TempScrCardDataReusd? StorgLctn PmtCrdntlMrchntRltsh? PINPadInprbl? PINNtryBpss?
        ICCFllbck? ICCFllbckRsnCd MgntcStrpFllbck? AuthntcnOutg? PayByLk? OnUS? AutoFill? VATDcmnttnReq
        VATDcmnttnRspn XtndedAuthstn? CaptrDt DtAntcptd MaxPrcgDt ECRId SaleRefNb GoodsAndSvcsTp
        GoodsAndSvcsSubTp GoodAndSvcDlvryChanl GoodAndSvcDlvrySchdl RctReq? RctTp* RctDstn
    """,
    "Tkn": """
        PmtTkn TknTp TknXpryDt TknRqstrId TknAssrncData TknAssrncMtd TknRefId TknInittdInd? StorgLctn PrtcnMtd
        NonPmt? TknRqstrNm UpdtdChanl Sts TknActvtnDtTm
    """,
    "Crdhldr": """
        Nm GvnNm LastNm MddlNm Dsgnt CmprssdAdr DtOfBirth HghVal? AliasNm Ocptn
    """,
    "Rcncltn": """
        Id Dt ChckptRef
    """,
    "PrcgRslt": """
        RspnSrcId RspnSrcTp RspnSrcCtry RspnSrcNm RspnCd ApprvlCd RspnRsn TempScrCardDataReusePrtd? ActnCd
    """,
    "Adr": """
        Line1 Line2 StrtNm BldgNb PstlCd TwnNm CtrySubDvsnMnr CtrySubDvsnMjr CtrySubDvsnMjrNm CtrySubDvsnMnrNm
        Ctry GeogcLctn
    """,
}


def _parse(sequence: str) -> dict[str, Child]:
    children = {}
    for position, word in enumerate(sequence.split()):
        name = word.rstrip("+*?")
        marks = word[len(name) :]
        children[name] = Child(name, position, "+" in marks, "*" in marks, "?" in marks)
    return children


LAYOUT: Final[dict[str, dict[str, Child]]] = {name: _parse(sequence) for name, sequence in _SEQUENCES.items()}
"""Children of every composite element, by name, in the order of the schema."""
