"""What shops call things: usual names of columns, files and types of event, for guessing a configuration.

All in the form that `plain` makes: small letters and digits of any script, nothing between them. The most telling first.
"""

import re

from segmentation.tables import EVENTS, ORDERS, REVIEWS, USERS


def plain(name: str) -> str:
    """A name without case and separators: "Invoice No." and "InvoiceNo" are "invoiceno"."""
    return re.sub(r"[\W_]+", "", name.lower())


def words(name: str) -> list[str]:
    """The words of a name: "orderPurchase_timestamp" is order, purchase, timestamp."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[\W_]+", apart.lower()) if word]


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


USER = _listed("""
    userid customeruniqueid uniquecustomerid customerid visitorid householdid memberid buyerid clientid
    shopperid custid customerno customernumber customernr custno accountid personid householdkey
    loyaltyid cardid uid user customer cust visitor household member buyer client userpseudoid
    anonymousid cookieid deviceid username customeremail useremail email 用户id 用户 用户编号 用户标识 客户id 客户 客户编号
    会员id 会员 会员编号 会员号 买家id 买家 kundennummer kundennr kundenid kundeid kunde clienteid idcliente cliente
    idclient numeroclient usuarioid idusuario usuario utilisateur utente 顧客id 顧客 会員id
""")
ITEM = _listed("""
    itemid productid stockcode sku skuid articleid articlenumber asin productcode itemcode upc ean
    goodsid variantid productno product item article stockid 商品id 商品 商品编号 商品编码 产品id 产品 artikelnummer
    artikel produktid produkt productoid producto produitid produit idproduit idproduto produto
""")
CATEGORY = _listed("""
    category productcategory productcategoryname itemcategory categoryid categorycode categoryname
    department productgroup producttype 类目id 类目 品类 商品类目 商品类别 分类 kategorie warengruppe categoria
    categorie catégorie
""")

# Canonical column → usual names.
NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    ORDERS: {
        "user_id": USER,
        "ordered_at": _listed("""
            orderedat ordertime orderdate orderdatetime ordertimestamp orderpurchasetimestamp
            purchasedat purchasedate purchasetime purchasetimestamp invoicedate invoicetime
            transactiontimestamp transactiondate transactiontime tdat saledate salesdate saletime soldat
            basketdate receiptdate createdat creationdate createtime placedat paidat paytime paymentdate
            datetime timestamp date time day ts 下单时间 订单时间 订单日期 下单日期 购买时间
            购买日期 支付时间 付款时间 交易时间 创建时间 时间 日期
            bestelldatum rechnungsdatum kaufdatum datum fechapedido fechacompra fecha datacompra
            datapedido data datecommande dateachat 注文日 購入日 日付
        """),
        "order_id": _listed("""
            orderid invoiceno invoiceid invoicenumber invoice basketid transactionid orderno ordernumber
            ordernr receiptid receiptno cartid saleid tripid order basket transaction 订单id 订单号 订单编号 订单
            bestellnummer bestellnr rechnungsnummer bestellung belegnummer belegnr beleg pedidoid idpedido pedido commandeid
            commande ordineid 注文番号 注文id
        """),
        "item_id": ITEM,
        "category": CATEGORY,
        "quantity": _listed("""
            quantity qty units itemquantity orderquantity amountofitems pieces 数量 件数 购买数量 menge anzahl
            cantidad quantidade quantité quantite quantita quantità 個数
        """),
        "unit_price": _listed("""
            unitprice priceperunit itemprice productprice price 单价 价格 einzelpreis preis stückpreis
            stueckpreis precio preciounitario preço preco prixunitaire prix prezzo
        """),
        "amount": _listed("""
            amount amt salesvalue totalamount orderamount lineamount linetotal totalprice ordertotal total
            revenue sales salesamount turnover value paymentvalue netamount grossamount spend subtotal
            grandtotal ordervalue 金额 总额 订单金额 支付金额 实付金额 总价 betrag gesamtbetrag umsatz summe gesamtpreis
            importe valor montant importo 金額
        """),
        "discount": _listed("""
            discount discountamount totaldiscount retaildisc disc coupondisc couponmatchdisc
            couponamount rebate 折扣 优惠 优惠金额 rabatt descuento desconto remise sconto
        """),
        "currency": _listed("currency currencycode 币种 货币 währung waehrung moneda moeda devise"),
    },
    EVENTS: {
        "user_id": USER,
        "event_at": _listed("""
            eventat eventtime eventtimestamp eventdate eventdatetime happenedat occurredat timestamp
            actiontime behaviortime clicktime visittime datetime createdat loggedat servertime time ts
            unixtime epoch date day 行为时间 时间戳 时间 日期 zeitstempel zeit datum fecha data 日時
        """),
        "event_type": _listed("""
            eventtype eventname event behaviortype behaviourtype behavior behaviour actiontype action
            activity type interaction interactiontype 行为类型 行为 事件 事件类型 操作 ereignis aktion evento accion
            événement evenement
        """),
        "item_id": ITEM,
        "category": CATEGORY,
        "session_id": _listed("sessionid usersession session visitid sessid 会话id 会话 sitzung sesion"),
        "duration_s": _listed("""
            durations durationseconds duration dwelltime timeonpage staytime seconds 时长
        """),
    },
    REVIEWS: {
        "user_id": (*USER, *_listed("reviewerid reviewer authorid author")),
        "reviewed_at": _listed("""
            reviewedat reviewtime reviewdate reviewcreationdate reviewtimestamp unixreviewtime ratedat
            ratingtime ratingdate submittedat createdat creationdate timestamp datetime date time 评价时间
            评论时间 评论日期 时间 日期 datum fecha data
        """),
        "rating": _listed("""
            rating reviewscore score stars starrating overall reviewrating grade 评分 星级 得分 bewertung
            sterne calificacion puntuacion nota note voto 評価
        """),
        "item_id": ITEM,
        "text": _listed("""
            text reviewtext reviewcommentmessage reviewbody comment message content review body 评论 评价
            评论内容 评价内容 内容 kommentar comentario commentaire
        """),
    },
    USERS: {
        "user_id": USER,
        "signed_up_at": _listed("""
            signedupat signupdate signupat signuptime registeredat registrationdate registertime regdate
            joinedat joindate membersince customersince enrolleddate createdat creationdate 注册时间 注册日期
            registrierungsdatum fecharegistro dataregistrazione 登録日
        """),
        "excluded": _listed("""
            excluded exclude isexcluded istest test isstaff staff isbot bot internal
        """),
        "marketing_consent": _listed("""
            marketingconsent consent optin marketingoptin newsletter acceptsmarketing subscribed
            emailoptin gdprconsent 营销同意
        """),
    },
}

# Words that make a time another one than the one that the row is about.
OTHER_TIMES = _listed("""
    answer answered approved birth birthday canceled cancelled deliver delivered delivery dob due end
    estimated expected expires expiry export exported import imported limit load loaded modified reply
    returned ship shipped shipping until update updated valid
""")
# Words of columns that name or reach a person: never taken as a user's attribute.
PERSONAL = _listed("""
    address birth birthday card dob email firstname geo iban ip lastname mail mobile name passport phone
    postal postcode ssn street surname tel telephone zip 地址 姓名 手机 生日 电话 邮箱
""")

# Words in a file's name → table.
FILES = {
    ORDERS: _listed("""
        order orders sale sales transaction transactions purchase purchases invoice invoices basket
        baskets items receipts retail 订单 bestellungen pedidos
    """),
    EVENTS: _listed("""
        event events click clicks clickstream behavior behaviour userbehavior log logs views actions
        activity sessions tracking 行为
    """),
    REVIEWS: _listed("review reviews rating ratings feedback comments 评价 评论 bewertungen"),
    USERS: _listed("""
        user users customer customers member members demographics profile profiles clients households
        accounts 用户 会员 kunden clientes
    """),
}

# Ours → a source's own names of the type of event.
TYPES = {
    "view": _listed("""
        view pv pageview viewitem productview viewproduct itemview detail browse productviewed viewed
        visit impression viewcontent productdetail 浏览 查看 点击
    """),
    "cart": _listed("""
        cart addtocart addcart cartadd addtobasket basket addedtocart addproduct productadded 加购 加购物车
        加入购物车
    """),
    "purchase": _listed("""
        purchase transaction buy order sale bought purchased pay payment checkoutcomplete ordercompleted
        orderplaced 购买 下单 支付 成交
    """),
    "search": _listed("search query searched viewsearchresults 搜索"),
    "favourite": _listed("favourite favorite fav like wishlist addtowishlist collect save 收藏"),
    "remove": _listed("""
        remove removefromcart cartremove removecart deletefromcart productremoved 移除
    """),
    "share": _listed("share shared 分享"),
    "login": _listed("login signin 登录"),
    "logout": _listed("logout signout 登出"),
    "register": _listed("register signup 注册"),
    "click": _listed("click clicked selectitem tap"),
    "checkout": _listed("checkout begincheckout checkoutstart initiatecheckout 结算"),
    "refund": _listed("refund refunded return 退款"),
}
EVENT_TYPES = {theirs: ours for ours, names in TYPES.items() for theirs in names}
# Four numbers in a column of such a name, as in the data sets of Alibaba's Tianchi.
NUMBERED_TYPES = {"1": "view", "2": "favourite", "3": "cart", "4": "purchase"}
NUMBERED_NAMES = ("behaviortype", "behaviourtype")
