{# Groups that hold more than one currency: a sum over such a group means nothing. No columns = the whole model. #}
{% test one_currency_per_group(model, currency, group_by) %}
select
    {% for column in group_by %}{{ column }}, {% endfor %}
    count(distinct {{ currency }}) as currencies
from {{ model }}
{%- if group_by %}
group by {{ group_by | join(', ') }}
{%- endif %}
having count(distinct {{ currency }}) > 1
{% endtest %}
