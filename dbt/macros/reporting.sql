{# Money in the reporting currency. #}

{# The amounts that are converted, and the columns that name the rate, in the order of the marts. #}
{% macro converted_costs() %}{{ return(['billed_cost', 'effective_cost', 'list_cost', 'contracted_cost']) }}{% endmacro %}

{# cost (12 decimals) x rate (18 decimals) at 12 decimals, rounded once, half away from zero; NULL without a rate. The
   product has 30 decimals, too many for 8 integer digits in DECIMAL(38): the whole and the fraction of the cost are
   multiplied apart, and what lies beyond the 12th decimal of both is added before it is rounded. #}
{% macro in_reporting_currency(cost, rate) -%}
    {%- set whole = 'cast(' ~ cost ~ ' - ' ~ cost ~ ' % 1 as decimal(38, 0)) * ' ~ rate -%}
    {%- set beyond = '(' ~ whole ~ ') % 0.000000000001' -%}
    case
        when {{ rate }} = 1 then {{ cost }}
        else
            cast({{ whole }} - {{ beyond }} as decimal(38, 12))
            + cast({{ beyond }} + ({{ cost }} % 1) * {{ rate }} as decimal(38, 12))
    end
{%- endmacro %}
